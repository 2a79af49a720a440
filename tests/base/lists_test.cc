// The intrusive lists against std::deque, by random operations.

#include "runtime/base/lists.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "tests/testing/procs.h"

namespace {

struct Item {
  int id = 0;
  Item* link = nullptr;
};

using ItemStack = urge::base::Stack<Item, &Item::link>;
using ItemQueue = urge::base::Queue<Item, &Item::link>;

std::vector<Item> Items(int n) {
  std::vector<Item> items(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) items[static_cast<std::size_t>(i)].id = i;
  return items;
}

TEST(StackTest, IsLastInFirstOut) {
  auto items = Items(3);
  ItemStack stack;
  EXPECT_EQ(stack.Pop(), nullptr);
  for (Item& item : items) stack.Push(&item);
  EXPECT_EQ(stack.size(), 3);
  for (int id : {2, 1, 0}) EXPECT_EQ(stack.Pop()->id, id);
  EXPECT_TRUE(stack.empty());
}

TEST(StackTest, RemovesFromAnywhereAndKeepsTheOrder) {
  for (int gone = 0; gone < 4; ++gone) {
    auto items = Items(4);
    ItemStack stack;
    for (Item& item : items) stack.Push(&item);
    Item& removed = items[static_cast<std::size_t>(gone)];
    EXPECT_TRUE(stack.Remove(&removed));
    EXPECT_EQ(removed.link, nullptr);
    EXPECT_FALSE(stack.Remove(&removed));
    EXPECT_EQ(stack.size(), 3);
    for (int id = 3; id >= 0; --id) {
      if (id != gone) {
        EXPECT_EQ(stack.Pop()->id, id);
      }
    }
    EXPECT_TRUE(stack.empty());
  }
}

TEST(QueueTest, RemovesFromAnywhereAndGoesOnAtBothEnds) {
  for (int gone = 0; gone < 4; ++gone) {
    auto items = Items(5);
    ItemQueue queue;
    for (int i = 0; i < 4; ++i) queue.PushBack(&items[static_cast<std::size_t>(i)]);
    Item& removed = items[static_cast<std::size_t>(gone)];
    EXPECT_TRUE(queue.Remove(&removed));
    EXPECT_EQ(removed.link, nullptr);
    EXPECT_FALSE(queue.Remove(&removed));
    queue.PushBack(&items[4]);
    EXPECT_EQ(queue.size(), 4);
    for (int id = 0; id < 5; ++id) {
      if (id != gone) {
        EXPECT_EQ(queue.PopFront()->id, id);
      }
    }
    EXPECT_TRUE(queue.empty());
  }
}

TEST(QueueTest, BehavesAsADequeUnderRandomOperations) {
  auto random = urge::testing::Random();
  auto items = Items(64);
  std::vector<Item*> unused;
  for (Item& item : items) unused.push_back(&item);
  ItemQueue queues[2];
  std::deque<Item*> models[2];
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t q = random() % 2;
    switch (random() % 4) {
      case 0:
      case 1:
        if (!unused.empty()) {
          Item* item = unused.back();
          unused.pop_back();
          if (random() % 2 == 0) {
            queues[q].PushBack(item);
            models[q].push_back(item);
          } else {
            queues[q].PushFront(item);
            models[q].push_front(item);
          }
        }
        break;
      case 2: {
        Item* item = queues[q].PopFront();
        ASSERT_EQ(item, models[q].empty() ? nullptr : models[q].front());
        if (item != nullptr) {
          models[q].pop_front();
          unused.push_back(item);
        }
        break;
      }
      default:
        if (random() % 16 == 0) {
          queues[q].Append(queues[1 - q]);
          models[q].insert(models[q].end(), models[1 - q].begin(), models[1 - q].end());
          models[1 - q].clear();
        }
    }
    for (std::size_t i : {0, 1}) {
      ASSERT_EQ(queues[i].size(), static_cast<std::int32_t>(models[i].size()));
      ASSERT_EQ(queues[i].empty(), models[i].empty());
      ASSERT_EQ(queues[i].head(), models[i].empty() ? nullptr : models[i].front());
    }
  }
}

}  // namespace
