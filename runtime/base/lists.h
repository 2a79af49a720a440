// Intrusive singly linked lists over a `link` member: the free lists and queues of G and M.

#ifndef URGE_RUNTIME_BASE_LISTS_H_
#define URGE_RUNTIME_BASE_LISTS_H_

#include <cstdint>

namespace urge::base {

// Last in, first out. Not synchronised: the owner's tag or lock says who may touch it.
template <class T, T* T::*Link>
class Stack {
 public:
  bool empty() const { return head_ == nullptr; }
  std::int32_t size() const { return size_; }
  void Push(T* item) {
    item->*Link = head_;
    head_ = item;
    ++size_;
  }
  T* Pop() {
    T* item = head_;
    if (item != nullptr) {
      head_ = item->*Link;
      item->*Link = nullptr;
      --size_;
    }
    return item;
  }
  // Linear. False if the item isn't here.
  bool Remove(T* item) {
    for (T** at = &head_; *at != nullptr; at = &((*at)->*Link)) {
      if (*at != item) continue;
      *at = item->*Link;
      item->*Link = nullptr;
      --size_;
      return true;
    }
    return false;
  }

 private:
  T* head_ = nullptr;
  std::int32_t size_ = 0;
};

// First in, first out.
template <class T, T* T::*Link>
class Queue {
 public:
  bool empty() const { return head_ == nullptr; }
  std::int32_t size() const { return size_; }
  T* head() const { return head_; }
  void PushBack(T* item) {
    item->*Link = nullptr;
    if (tail_ != nullptr) {
      tail_->*Link = item;
    } else {
      head_ = item;
    }
    tail_ = item;
    ++size_;
  }
  void PushFront(T* item) {
    item->*Link = head_;
    head_ = item;
    if (tail_ == nullptr) tail_ = item;
    ++size_;
  }
  T* PopFront() {
    T* item = head_;
    if (item != nullptr) {
      head_ = item->*Link;
      if (head_ == nullptr) tail_ = nullptr;
      item->*Link = nullptr;
      --size_;
    }
    return item;
  }
  // Linear. False if the item isn't here.
  bool Remove(T* item) {
    T* before = nullptr;
    for (T* at = head_; at != nullptr; before = at, at = at->*Link) {
      if (at != item) continue;
      (before == nullptr ? head_ : before->*Link) = item->*Link;
      if (tail_ == item) tail_ = before;
      item->*Link = nullptr;
      --size_;
      return true;
    }
    return false;
  }
  // Appends all of `other`, which is left empty.
  void Append(Queue& other) {
    if (other.head_ == nullptr) return;
    if (tail_ != nullptr) {
      tail_->*Link = other.head_;
    } else {
      head_ = other.head_;
    }
    tail_ = other.tail_;
    size_ += other.size_;
    other = Queue();
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  std::int32_t size_ = 0;
};

}  // namespace urge::base

#endif  // URGE_RUNTIME_BASE_LISTS_H_
