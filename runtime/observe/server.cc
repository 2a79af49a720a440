#include "runtime/observe/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <urge/metrics.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "absl/base/const_init.h"
#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/os.h"
#include "runtime/observe/answers.h"
#include "runtime/sched/sched.h"

namespace urge::observe {
namespace {

constexpr int kPatienceMs = 2'000;
constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxRequestBytes = 16 * 1024;  // browsers' heads fit in

ABSL_CONST_INIT absl::Mutex g_mutex(absl::kConstInit);
constinit int g_listener ABSL_GUARDED_BY(g_mutex) = -1;
// What a static object would take with it at exit, while the thread still serves.
constinit std::string* g_address ABSL_GUARDED_BY(g_mutex) = nullptr;
constinit pid_t g_bound_by = 0;  // written before the exit handler is registered

struct Address {
  sockaddr_un value{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&value); }
};

Address ParseAddress(const std::string& text) {
  Address address;
  address.value.sun_family = AF_UNIX;
  const bool abstract = text.starts_with('@');
  // An abstract name is its bytes; a path ends with a zero.
  const std::size_t bytes = text.size() + (abstract ? 0 : 1);
  if (text.size() < 2 || bytes > sizeof(address.value.sun_path) ||
      text.find('\0') != std::string::npos) {
    throw std::invalid_argument(absl::StrCat("urge: metrics can't be served at \"", text,
                                             "\"; allowed are a path or @name of 2 to ",
                                             sizeof(address.value.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.value.sun_path, text.data(), text.size());
  if (abstract) address.value.sun_path[0] = 0;
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes);
  return address;
}

[[noreturn]] void ThrowErrno(int error, const std::string& address) {
  throw std::system_error(error, std::generic_category(),
                          absl::StrCat("urge: can't serve metrics at ", address));
}

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

// Is it a socket that nobody listens at any more?
bool IsLeftBehind(const Address& address) {
  struct stat status;
  if (stat(address.value.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int fd = NewSocket();
  const bool refused = connect(fd, address.get(), address.size) != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

int Listen(const std::string& text) {
  const Address address = ParseAddress(text);
  const int fd = NewSocket();
  if (fd < 0) ThrowErrno(errno, text);
  // The mode that the path is made with, less the umask.
  fchmod(fd, S_IRUSR | S_IWUSR);
  int bound = bind(fd, address.get(), address.size);
  if (bound != 0 && errno == EADDRINUSE && address.value.sun_path[0] != 0 &&
      IsLeftBehind(address)) {
    unlink(address.value.sun_path);
    bound = bind(fd, address.get(), address.size);
  }
  if (bound != 0 || listen(fd, kMaxClients) != 0) {
    const int error = errno;
    close(fd);
    ThrowErrno(error, text);
  }
  return fd;
}

class Client {
 public:
  explicit Client(int fd) : fd_(fd) {
    const timeval patience{kPatienceMs / 1'000, kPatienceMs % 1'000 * 1'000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    ucred other{};
    socklen_t size = sizeof(other);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size);
    if (size == sizeof(other) && other.uid == geteuid()) return;
    Send(ErrorAnswer(absl::StrCat("process ", getpid(), " belongs to user ", geteuid(),
                                  ", and answers nobody else")));
    gone_ = true;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(fd_); }

  int fd() const { return fd_; }
  bool gone() const { return gone_; }
  // Half a request came, and its rest didn't.
  bool TriesPatience(std::uint64_t now_ns) const {
    return !unread_.empty() && now_ns > read_ns_ + kPatienceMs * std::uint64_t{1'000'000};
  }
  bool waiting() const { return !unread_.empty(); }

  // There is something to read: answers the requests that are complete.
  void Read() {
    char buffer[1024];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      gone_ = true;
      return;
    }
    unread_.append(buffer, static_cast<std::size_t>(n));
    read_ns_ = base::NowNs();
    while (!gone_ && AnswerOne()) {
    }
    if (unread_.size() > kMaxRequestBytes) {
      Send(ErrorAnswer("the request is too long"));
      gone_ = true;
    }
  }

 private:
  bool AnswerOne() {
    const bool http = unread_.starts_with("GET ");
    const std::string_view end = http ? "\r\n\r\n" : "\n";
    const std::size_t at = unread_.find(end);
    if (at == std::string::npos) return false;
    const std::string request = unread_.substr(0, at);
    unread_.erase(0, at + end.size());
    Send(http ? answerer_.AnswerHttp(request) : answerer_.Answer(request));
    gone_ = gone_ || http;
    return true;
  }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        gone_ = true;
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  const int fd_;
  bool gone_ = false;
  std::string unread_;
  std::uint64_t read_ns_ = 0;
  Answerer answerer_;
};

void Accept(int listener, std::vector<std::unique_ptr<Client>>& clients) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) {
    // Out of descriptors: they don't come back by asking at once.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) poll(nullptr, 0, 100);
    return;
  }
  clients.push_back(std::make_unique<Client>(fd));
}

[[noreturn]] void ServeOn(int listener) {
  std::vector<std::unique_ptr<Client>> clients;
  for (;;) {
    std::vector<pollfd> fds;
    bool waiting = false;
    for (const auto& client : clients) {
      fds.push_back({client->fd(), POLLIN, 0});
      waiting = waiting || client->waiting();
    }
    // Further ones wait in the kernel.
    if (clients.size() < kMaxClients) fds.push_back({listener, POLLIN, 0});
    poll(fds.data(), fds.size(), waiting ? kPatienceMs : -1);
    const std::uint64_t now = base::NowNs();
    const std::size_t known = clients.size();
    if (known < fds.size() && fds[known].revents != 0) Accept(listener, clients);
    for (std::size_t i = 0; i < known; ++i) {
      if (fds[i].revents != 0) clients[i]->Read();
    }
    std::erase_if(clients,
                  [&](const auto& client) { return client->gone() || client->TriesPatience(now); });
  }
}

void* Main(void* listener) { ServeOn(static_cast<int>(reinterpret_cast<std::intptr_t>(listener))); }

void RemovePathAtExit() {
  if (getpid() != g_bound_by) return;  // a forked child
  absl::MutexLock lock(&g_mutex);
  if (g_address != nullptr && !g_address->starts_with('@')) unlink(g_address->c_str());
}

// The thread that serves, or holds the mutex, is not in this process.
void CloseInForkedChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (g_listener >= 0) close(g_listener);
  g_listener = -1;
  g_address = nullptr;
}

}  // namespace

std::string DefaultAddress() { return absl::StrCat("@urge-metrics-", getpid()); }

std::string Serve(std::string_view address) {
  absl::MutexLock lock(&g_mutex);
  if (g_address != nullptr) return *g_address;
  auto text = std::make_unique<std::string>(address.empty() ? DefaultAddress() : address);
  const int listener = Listen(*text);
  EnableLoads();
  NoteServedFrom(base::NowNs());
  void* const argument = reinterpret_cast<void*>(static_cast<std::intptr_t>(listener));
  if (const int error = sched::StartOwnThread(Main, argument, "urge-metrics"); error != 0) {
    close(listener);
    if (!text->starts_with('@')) unlink(text->c_str());
    ThrowErrno(error, *text);
  }
  g_listener = listener;
  g_address = text.release();
  if (g_bound_by == 0) {
    std::atexit(RemovePathAtExit);
    pthread_atfork(nullptr, nullptr, CloseInForkedChild);
  }
  g_bound_by = getpid();
  return *g_address;
}

}  // namespace urge::observe

namespace urge {

std::string serve_metrics(std::string_view address) { return observe::Serve(address); }

}  // namespace urge
