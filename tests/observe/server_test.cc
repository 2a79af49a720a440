// The socket at which a process answers those who watch it: protocol, figures, who may ask.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <urge/metrics.h>
#include <urge/urge.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

// A connection to an abstract address, with a time limit on every answer.
class Connection {
 public:
  explicit Connection(const std::string& address)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, address.data(), address.size());
    to.sun_path[0] = 0;
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), size) == 0;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(fd_); }

  bool connected() const { return connected_; }
  void Send(const std::string& text) const { send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Up to the end that was asked for, or of the stream.
  std::string Receive(const std::string& end) const {
    std::string text;
    char byte;
    while (!text.ends_with(end) && recv(fd_, &byte, 1, 0) == 1) text += byte;
    return text;
  }
  std::string Ask(const std::string& request) const {
    Send(request + "\n");
    return Receive("\n");
  }
  std::string ReceiveAll() const { return Receive(std::string(1, '\0') + "never"); }

 private:
  const int fd_;
  bool connected_;
};

// The first number, or text, of that name behind `from`.
std::uint64_t Number(const std::string& json, const std::string& key, std::size_t from = 0) {
  const std::string quoted = "\"" + key + "\": ";
  const std::size_t at = json.find(quoted, from);
  EXPECT_NE(at, std::string::npos) << key << " in " << json;
  return at == std::string::npos ? 0 : std::stoull(json.substr(at + quoted.size()));
}
std::uint64_t In(const std::string& json, const std::string& object, const std::string& key) {
  const std::size_t at = json.find("\"" + object + "\": {");
  EXPECT_NE(at, std::string::npos) << object << " in " << json;
  return Number(json, key, at);
}
std::vector<double> Loads(const std::string& json) {
  std::vector<double> loads;
  static const std::regex load("\"load\": ([01]\\.[0-9]{4})");
  for (std::sregex_iterator i(json.begin(), json.end(), load), end; i != end; ++i) {
    loads.push_back(std::stod((*i)[1]));
  }
  return loads;
}

class ServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    address_ = urge::serve_metrics("@urge-server-test-" + std::to_string(getpid()));
    urge::start({.procs = 2});
  }
  static std::string address_;
};
std::string ServerTest::address_;

TEST_F(ServerTest, LaterCallsReturnTheAddress) {
  EXPECT_EQ(urge::serve_metrics(), address_);
  EXPECT_EQ(urge::serve_metrics("@another"), address_);
}

TEST_F(ServerTest, EveryAnswerIsALineWithTheProtocol) {
  const Connection c(address_);
  ASSERT_TRUE(c.connected());
  for (const char* request : {"snapshot", "metrics", "help", "nonsense", "", "snapshot \r"}) {
    const std::string answer = c.Ask(request);
    EXPECT_TRUE(answer.starts_with("{\"protocol\": 1, ")) << answer;
    EXPECT_TRUE(answer.ends_with("}\n")) << answer;
    EXPECT_EQ(answer.find("\"error\": ") != std::string::npos,
              std::string(request) == "nonsense" || *request == 0)
        << answer;
  }
}

TEST_F(ServerTest, ASnapshotCountsGoroutinesByWhatTheyDo) {
  urge::chan<int> c(0);
  urge::mutex mutex;
  mutex.lock();
  std::atomic<int> going{0};
  std::vector<urge::future<void>> done;
  for (int i = 0; i < 3; ++i) {
    done.push_back(urge::async([&] {
      ++going;
      static_cast<void>(c.recv());
    }));
  }
  for (int i = 0; i < 2; ++i) {
    done.push_back(urge::async([&] {
      ++going;
      mutex.lock();
      mutex.unlock();
    }));
  }
  const Connection connection(address_);
  std::string json;
  do {  // until all have come to wait
    json = connection.Ask("snapshot");
  } while (In(json, "goroutines", "waiting") < 5);
  EXPECT_EQ(In(json, "goroutines", "total"), 5u);
  EXPECT_EQ(In(json, "goroutines", "running"), 0u);
  EXPECT_EQ(In(json, "waiting_for", "chan receive"), 3u);
  EXPECT_EQ(In(json, "waiting_for", "sync.mutex lock"), 2u);
  EXPECT_EQ(Number(json, "pid"), static_cast<std::uint64_t>(getpid()));
  EXPECT_EQ(Number(json, "procs"), 2u);
  c.close();
  mutex.unlock();
  for (auto& d : done) d.get();
}

// What two snapshots of one connection differ by is reckoned on that connection.
TEST_F(ServerTest, IntervalsBelongToTheConnection) {
  const Connection a(address_), b(address_);
  a.Ask("snapshot");
  for (int i = 0; i < 10; ++i) urge::async([] {}).get();
  const std::string first = a.Ask("snapshot"), second = a.Ask("snapshot");
  EXPECT_EQ(In(first, "since", "spawns"), 10u);
  EXPECT_EQ(In(second, "since", "spawns"), 0u);
  EXPECT_EQ(In(first, "total", "spawns"), In(second, "total", "spawns"));
  EXPECT_GE(In(b.Ask("snapshot"), "since", "spawns"), 10u) << "the first since the beginning";
}

TEST_F(ServerTest, LoadsAreTheSharesOfTimeInUse) {
  const Connection c(address_);
  c.Ask("snapshot");
  // As long as a reading takes, and nothing at all goes on.
  std::string idle;
  do {
    idle = c.Ask("snapshot");
  } while (Number(idle, "interval_ns") == 0);
  std::atomic<bool> stop{false}, on{false};
  urge::future<void> hog = urge::async([&] {
    on = true;
    while (!stop) {
    }
  });
  while (!on) std::this_thread::yield();
  c.Ask("snapshot");
  for (const auto end = std::chrono::steady_clock::now() + 100ms;
       std::chrono::steady_clock::now() < end;) {
  }
  const std::string busy = c.Ask("snapshot");
  stop = true;
  hog.get();
  const std::vector<double> loads = Loads(busy);
  ASSERT_EQ(loads.size(), 2u);
  EXPECT_GT(std::max(loads[0], loads[1]), 0.99) << busy;
  EXPECT_LT(std::min(loads[0], loads[1]), 0.5) << busy;
  EXPECT_NE(busy.find("\"state\": \"running\""), std::string::npos) << busy;
  EXPECT_NE(busy.find("\"state\": \"idle\""), std::string::npos) << busy;
}

// A P that is lent to a blocking call, and that nobody wants, isn't at work.
TEST_F(ServerTest, ABlockingCallIsNoLoad) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::atomic<bool> on{false};
  urge::future<void> reader = urge::async([&] {
    on = true;
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  });
  while (!on) std::this_thread::yield();
  const Connection c(address_);
  std::string json;
  do {
    json = c.Ask("snapshot");
  } while (In(json, "goroutines", "syscall") == 0);
  for (const auto end = std::chrono::steady_clock::now() + 100ms;
       std::chrono::steady_clock::now() < end;) {
  }
  const std::vector<double> loads = Loads(c.Ask("snapshot"));
  ASSERT_EQ(loads.size(), 2u);
  EXPECT_LT(std::max(loads[0], loads[1]), 0.5);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  reader.get();
  close(ends[0]);
  close(ends[1]);
}

TEST_F(ServerTest, NamesAreJsonWhateverTheyHold) {
  std::atomic<bool> stop{false}, on{false};
  urge::go({.name = "a\"b\\c\n\xc3\xa9\xff"}, [&] {
    on = true;
    while (!stop) {
    }
    on = false;
  });
  while (!on) std::this_thread::yield();
  const std::string json = Connection(address_).Ask("snapshot");
  stop = true;
  while (on) std::this_thread::yield();
  EXPECT_NE(json.find("\"a\\\"b\\\\c\\u000a\xc3\xa9\\ufffd\""), std::string::npos) << json;
}

TEST_F(ServerTest, OpenMetricsEndsOnceAndHasGauges) {
  const Connection c(address_);
  c.Send("openmetrics\nhelp\n");
  const std::string text = c.Receive("# EOF\n");
  EXPECT_TRUE(c.Receive("\n").starts_with("{\"protocol\"")) << "nothing between two answers";
  EXPECT_EQ(text.find("# EOF"), text.size() - 6);
  for (const char* line :
       {"# TYPE urge_goroutines gauge\n", "\nurge_goroutines{state=\"running\"} 0\n",
        "\nurge_procs 2\n", "\nurge_run_queue{queue=\"1\"} 0\n", "\n# TYPE urge_spawns counter\n",
        "\nurge_slice_length_seconds_bucket{le=\"+Inf\"} "}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST_F(ServerTest, SpeaksHttp) {
  const auto get = [](const std::string& path) {
    const Connection c(address_);
    c.Send("GET " + path + " HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n");
    return c.ReceiveAll();
  };
  const std::string metrics = get("/metrics");
  EXPECT_TRUE(metrics.starts_with("HTTP/1.1 200 OK\r\n")) << metrics;
  EXPECT_NE(metrics.find("Content-Type: application/openmetrics-text; version=1.0.0"),
            std::string::npos);
  const std::size_t body = metrics.find("\r\n\r\n") + 4;
  EXPECT_EQ(std::stoull(metrics.substr(metrics.find("Content-Length: ") + 16)),
            metrics.size() - body);
  EXPECT_TRUE(metrics.ends_with("# EOF\n"));
  EXPECT_NE(get("/").find("\r\n\r\n{\"protocol\": 1, "), std::string::npos);
  EXPECT_TRUE(get("/other").starts_with("HTTP/1.1 404 ")) << get("/other");
}

TEST_F(ServerTest, OnePersonsHalfRequestKeepsNobodyWaiting) {
  const Connection slow(address_);
  slow.Send("snap");
  const std::string other = Connection(address_).Ask("help");
  EXPECT_NE(other.find("\"requests\": "), std::string::npos) << other;
  slow.Send("shot\n");
  EXPECT_NE(slow.Receive("\n").find("\"goroutines\": "), std::string::npos);
}

TEST_F(ServerTest, AnEndlessRequestIsCutOff) {
  const Connection c(address_);
  for (int i = 0; i < 20; ++i) c.Send(std::string(1024, 'x'));
  const std::string answer = c.ReceiveAll();
  EXPECT_NE(answer.find("too long"), std::string::npos) << answer;
}

// Many at once: the ones too many wait until others have gone.
TEST_F(ServerTest, ACrowdIsServed) {
  std::vector<std::thread> crowd;
  std::atomic<int> answered{0};
  for (int i = 0; i < 40; ++i) {
    crowd.emplace_back([&] {
      const Connection c(address_);
      answered += c.Ask("snapshot").ends_with("}\n");
    });
  }
  for (std::thread& t : crowd) t.join();
  EXPECT_EQ(answered, 40);
}

TEST_F(ServerTest, AnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(1);
    const Connection c(address_);
    const std::string answer = c.Ask("snapshot") + c.ReceiveAll();
    _exit(write(ends[1], answer.data(), answer.size()) == static_cast<ssize_t>(answer.size()) ? 0
                                                                                              : 1);
  }
  close(ends[1]);
  std::string answer;
  char byte;
  while (read(ends[0], &byte, 1) == 1) answer += byte;
  close(ends[0]);
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_NE(answer.find("\"error\": \"process " + std::to_string(getpid()) + " belongs to user 0"),
            std::string::npos)
      << answer;
  EXPECT_EQ(answer.find("goroutines"), std::string::npos) << answer;
}

// How often the serving thread has been switched to, or 0 if there is no such thread.
std::uint64_t SwitchesOfServer() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name, line;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    if (name != "urge-metrics") continue;
    std::uint64_t switches = 0;
    for (std::ifstream status(task.path() / "status"); std::getline(status, line);) {
      if (line.find("ctxt_switches:") != line.npos) {
        switches += std::stoull(line.substr(line.find(':') + 1));
      }
    }
    return switches;
  }
  return 0;
}

TEST_F(ServerTest, NobodyAsksNobodyWakes) {
  Connection(address_).Ask("help");
  const Connection silent(address_);
  silent.Ask("help");
  // It comes to rest; then a while passes that would show any pulse.
  std::uint64_t before, after = SwitchesOfServer();
  do {
    before = after;
    std::this_thread::sleep_for(300ms);
    after = SwitchesOfServer();
  } while (after != before && !HasFatalFailure());
  ASSERT_NE(after, 0u);
  const urge::metrics readings = urge::read_metrics();
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(SwitchesOfServer(), after);
  EXPECT_EQ((urge::read_metrics() - readings).sysmon_wakeups, 0u);
}

TEST_F(ServerTest, BadAddressesAreRefusedClearly) {
  for (const std::string& address : {std::string("@"), std::string(200, 'x')}) {
    const pid_t child = fork();  // where nothing is served yet
    if (child == 0) {
      try {
        urge::serve_metrics(address);
      } catch (const std::invalid_argument& e) {
        _exit(std::string(e.what()).find("metrics can't be served") != std::string::npos ? 0 : 2);
      }
      _exit(1);
    }
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << address;
  }
}

}  // namespace
