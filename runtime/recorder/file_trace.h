// A trace on its way to a file; see recorder.h.

#ifndef URGE_RUNTIME_RECORDER_FILE_TRACE_H_
#define URGE_RUNTIME_RECORDER_FILE_TRACE_H_

#include <cstdint>
#include <string>

#include "runtime/recorder/event_log.h"
#include "runtime/recorder/pages.h"

namespace urge::recorder {

// Not safe for concurrent use.
class FileTrace {
 public:
  // Opens both files. Errors: std::system_error, std::bad_alloc.
  explicit FileTrace(std::string path);
  FileTrace(const FileTrace&) = delete;
  FileTrace& operator=(const FileTrace&) = delete;
  ~FileTrace();

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }

  // What was recorded before this is not part of the trace.
  void Begin() { StartAtHeads(cursors_); }
  // Copies what has been recorded since the last time.
  void Drain();
  // Copies the rest and writes the trace. Returns 0 or the first error (errno) of any of this.
  int Finish();

 private:
  static constexpr std::size_t kBufferEvents = std::size_t{1} << 15;
  void Spool();

  const std::string path_;
  int fd_ = -1;
  int spool_ = -1;  // events, as drained; has no name
  int error_ = 0;
  std::size_t spooled_ = 0;  // events in it
  std::size_t buffered_ = 0;
  Pages<trace::Event> buffer_{kBufferEvents};
  Cursors cursors_;
};

}  // namespace urge::recorder

#endif  // URGE_RUNTIME_RECORDER_FILE_TRACE_H_
