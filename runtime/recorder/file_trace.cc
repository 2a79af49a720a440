#include "runtime/recorder/file_trace.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "runtime/recorder/chrome_trace.h"

namespace urge::recorder {
namespace {

// A file without a name beside `path`, or where that can't be had, in memory.
int OpenSpool(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  const int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : memfd_create("urge-trace", MFD_CLOEXEC);
}

}  // namespace

FileTrace::FileTrace(std::string path) : path_(std::move(path)) {
  if (buffer_.empty()) throw std::bad_alloc();
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ >= 0) spool_ = OpenSpool(path_);
  if (fd_ < 0 || spool_ < 0) {
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    throw std::system_error(error, std::generic_category(),
                            "urge::trace_start: can't open " + path_);
  }
}

FileTrace::~FileTrace() {
  if (fd_ >= 0) close(fd_);
  close(spool_);
}

void FileTrace::Spool() {
  const char* from = reinterpret_cast<const char*>(buffer_.data());
  std::size_t left = buffered_ * sizeof(trace::Event);
  while (left != 0 && error_ == 0) {
    const ssize_t n = write(spool_, from, left);
    if (n >= 0) {
      from += n;
      left -= static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  if (error_ == 0) spooled_ += buffered_;
  buffered_ = 0;
}

void FileTrace::Drain() {
  DrainAll(cursors_, [this](const trace::Event& event) {
    buffer_[buffered_++] = event;
    if (buffered_ == buffer_.size()) Spool();
  });
}

int FileTrace::Finish() {
  // Twice, past what is unfinished.
  Drain();
  Drain();
  Spool();
  std::span<trace::Event> events;
  const std::size_t bytes = spooled_ * sizeof(trace::Event);
  if (bytes != 0) {
    // Shared: sorting a long trace needs no more memory than the system has to spare.
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, spool_, 0);
    if (memory == MAP_FAILED) return errno;
    events = {static_cast<trace::Event*>(memory), spooled_};
  }
  Sort(events);
  const int written =
      WriteChromeTrace(fd_, events, {"urge::trace_start"}, FunctionNames::Mode::kFull);
  if (error_ == 0) error_ = written;
  if (bytes != 0) munmap(events.data(), bytes);
  if (close(std::exchange(fd_, -1)) != 0 && error_ == 0) error_ = errno;
  return error_;
}

}  // namespace urge::recorder
