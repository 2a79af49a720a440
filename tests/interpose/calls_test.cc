// Blocking calls of libc from goroutines: the processor goes on, errno and the thread stay, and no
// signal of urge's shows.
//
// Nothing is stood in for in the sanitizers' builds.
// skip: asan tsan

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include <urge/urge.h>

#include "tests/interpose/hogs.h"
#include "tests/testing/procs.h"

namespace urge {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::Await;
using testing::Hogs;
using testing::Spin;

class CallsTest : public testing::ProcsTest {};
URGE_TEST_AT_PROCS(CallsTest);

struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  explicit Pipe(int type) { EXPECT_EQ(socketpair(AF_UNIX, type, 0, ends), 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
};

// Without interposition the reader keeps the only processor, and the writer never comes.
TEST_P(CallsTest, PipesBetweenGoroutines) {
  Pipe there, back;
  run([&] {
    wait_group all;
    all.go([&] {
      char c;
      for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(read(there.ends[0], &c, 1), 1);
        ++c;
        ASSERT_EQ(write(back.ends[1], &c, 1), 1);
      }
    });
    for (int i = 0; i < 100; ++i) {
      char c = static_cast<char>(i);
      ASSERT_EQ(write(there.ends[1], &c, 1), 1);
      ASSERT_EQ(read(back.ends[0], &c, 1), 1);
      ASSERT_EQ(c, i + 1);
    }
    all.wait();
  });
}

// Each way of waiting for a byte that another goroutine sends only once this one blocks.
TEST_P(CallsTest, EachWayOfWaitingForAByte) {
  using Wait = std::function<void(int fd)>;
  const auto take = [](int fd) {
    char c;
    EXPECT_EQ(recv(fd, &c, 1, MSG_DONTWAIT), 1);
  };
  const std::pair<const char*, Wait> waits[] = {
      {"read",
       [](int fd) {
         char c;
         EXPECT_EQ(read(fd, &c, 1), 1);
       }},
      {"readv",
       [](int fd) {
         char c;
         iovec v{&c, 1};
         EXPECT_EQ(readv(fd, &v, 1), 1);
       }},
      {"recv",
       [](int fd) {
         char c;
         EXPECT_EQ(recv(fd, &c, 1, 0), 1);
       }},
      {"recvfrom",
       [](int fd) {
         char c;
         EXPECT_EQ(recvfrom(fd, &c, 1, 0, nullptr, nullptr), 1);
       }},
      {"recvmsg",
       [](int fd) {
         char c;
         iovec v{&c, 1};
         msghdr message{};
         message.msg_iov = &v;
         message.msg_iovlen = 1;
         EXPECT_EQ(recvmsg(fd, &message, 0), 1);
       }},
      {"poll",
       [&](int fd) {
         pollfd p{fd, POLLIN, 0};
         EXPECT_EQ(poll(&p, 1, -1), 1);
         take(fd);
       }},
      {"ppoll",
       [&](int fd) {
         pollfd p{fd, POLLIN, 0};
         timespec long_time{100, 0};
         EXPECT_EQ(ppoll(&p, 1, &long_time, nullptr), 1);
         take(fd);
       }},
      {"select",
       [&](int fd) {
         fd_set set;
         FD_ZERO(&set);
         FD_SET(fd, &set);
         EXPECT_EQ(select(fd + 1, &set, nullptr, nullptr, nullptr), 1);
         take(fd);
       }},
      {"pselect",
       [&](int fd) {
         fd_set set;
         FD_ZERO(&set);
         FD_SET(fd, &set);
         EXPECT_EQ(pselect(fd + 1, &set, nullptr, nullptr, nullptr, nullptr), 1);
         take(fd);
       }},
      {"epoll_wait",
       [&](int fd) {
         const int e = epoll_create1(0);
         epoll_event event{};
         event.events = EPOLLIN;
         EXPECT_EQ(epoll_ctl(e, EPOLL_CTL_ADD, fd, &event), 0);
         EXPECT_EQ(epoll_wait(e, &event, 1, -1), 1);
         take(fd);
         close(e);
       }},
      {"syscall",
       [](int fd) {
         char c;
         EXPECT_EQ(syscall(SYS_read, fd, &c, 1), 1);
       }},
  };
  run([&] {
    for (const auto& [name, wait] : waits) {
      std::printf("%s\n", name);
      Pipe pair(SOCK_STREAM);
      std::atomic<bool> about_to{false};
      wait_group all;
      all.go([&] {
        about_to = true;
        wait(pair.ends[0]);
      });
      Await([&] { return about_to.load(); });
      sleep_for(200us);
      EXPECT_EQ(write(pair.ends[1], "x", 1), 1);
      all.wait();
    }
  });
}

TEST_P(CallsTest, AcceptAndConnect) {
  run([] {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener, 16), 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    wait_group all;
    all.go([&] {
      for (int i = 0; i < 8; ++i) {
        const int fd = accept(listener, nullptr, nullptr);
        ASSERT_GE(fd, 0);
        ASSERT_EQ(send(fd, &i, sizeof(i), 0), static_cast<ssize_t>(sizeof(i)));
        close(fd);
      }
    });
    for (int i = 0; i < 8; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
      int got = -1;
      ASSERT_EQ(recv(fd, &got, sizeof(got), MSG_WAITALL), static_cast<ssize_t>(sizeof(got)));
      EXPECT_EQ(got, i);
      close(fd);
    }
    all.wait();
    close(listener);
  });
}

// close waits until what was sent has arrived; who reads it may need the processor.
TEST_P(CallsTest, ASocketThatLingersWhileItIsClosedKeepsNobodyWaiting) {
  run([] {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const int out = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(out, reinterpret_cast<sockaddr*>(&address), size), 0);
    const int in = accept(listener, nullptr, nullptr);
    ASSERT_GE(in, 0);
    const linger lingers{.l_onoff = 1, .l_linger = 600};
    ASSERT_EQ(setsockopt(out, SOL_SOCKET, SO_LINGER, &lingers, sizeof(lingers)), 0);
    std::vector<char> block(100'000);
    ssize_t sent = 0, received = 0;
    for (ssize_t n; (n = send(out, block.data(), block.size(), MSG_DONTWAIT)) > 0;) sent += n;
    wait_group all;
    {
      Hogs hogs(procs());  // who wait for the processor of whoever closes
      const std::uint64_t before = read_metrics().syscall_retakes;
      all.go([&] { EXPECT_EQ(close(out), 0); });
      Await([&] { return read_metrics().syscall_retakes > before; });
    }
    all.go([&] {
      for (ssize_t n; (n = recv(in, block.data(), block.size(), 0)) > 0;) received += n;
    });
    all.wait();
    EXPECT_EQ(received, sent);
    close(in);
    close(listener);
  });
}

// If they kept their processors this would take 300 times 5 ms.
TEST_P(CallsTest, ManyGoroutinesSleepAtOnce) {
  std::atomic<int> awake{0};
  run([&] {
    wait_group all;
    for (int g = 0; g < 300; ++g) {
      all.go([&, g] {
        const no_preempt hold;  // only the call itself may be what moves it
        const pid_t thread = gettid();
        switch (g % 3) {
          case 0:
            EXPECT_EQ(usleep(5000), 0);
            break;
          case 1: {
            const timespec time{0, 5'000'000};
            EXPECT_EQ(nanosleep(&time, nullptr), 0);
            break;
          }
          default:
            std::this_thread::sleep_for(5ms);
        }
        EXPECT_EQ(gettid(), thread);
        ++awake;
      });
    }
    // Meanwhile others run.
    while (awake < 300) yield();
    all.wait();
  });
}

TEST_P(CallsTest, ErrnoIsTheGoroutinesAndTheThreadStays) {
  run([] {
    const Hogs hogs(2);
    wait_group all;
    for (int g = 0; g < 8; ++g) {
      all.go([g] {
        for (int i = 0; i < 50; ++i) {
          const no_preempt hold;
          const pid_t thread = gettid();
          char c;
          // The compiler may keep errno's address over both calls.
          errno = 0;
          if (g % 2 == 0) {
            EXPECT_EQ(read(-1, &c, 1), -1);
            EXPECT_EQ(errno, EBADF);
          } else {
            errno = 77;
            EXPECT_EQ(usleep(200), 0);
            EXPECT_EQ(errno, 77);
          }
          EXPECT_EQ(gettid(), thread);
        }
      });
    }
    all.wait();
  });
}

// ---- EINTR
// ----------------------------------------------------------------------------------------

// A goroutine that was often stopped by signals has a timer set for the end of its slice; then it
// makes calls that the kernel never begins again by itself. Without the remedy they fail with
// EINTR.
class InterruptionTest : public testing::ProcsTest {
 protected:
  // A goroutine that runs beside hogs and is signalled in its calls.
  template <class Work>
  void Disturbed(Work work) {
    run([&] {
      const Hogs hogs(2 * GetParam());
      wait_group all;
      for (int g = 0; g < 4; ++g) {
        all.go([&] {
          for (int i = 0; i < 12; ++i) {
            Spin(12ms /
                 GetParam());  // so long that it is preempted, and has a part of a slice left
            work();
          }
        });
      }
      all.wait();
    });
  }
};
URGE_TEST_AT_PROCS(InterruptionTest);

TEST_P(InterruptionTest, NobodySeesTheSignalsOfUrge) {
  Disturbed([] {
    const auto begin = Clock::now();
    EXPECT_EQ(poll(nullptr, 0, 15), 0);
    EXPECT_GE(Clock::now() - begin, 15ms);
    const timespec time{0, 12'000'000};
    timespec left{};
    const auto sleep_begin = Clock::now();
    EXPECT_EQ(nanosleep(&time, &left), 0);
    EXPECT_GE(Clock::now() - sleep_begin, 12ms);
    timeval limit{0, 12'000};
    EXPECT_EQ(select(0, nullptr, nullptr, nullptr, &limit), 0);
    std::atomic<int> word{0};
    const auto futex_begin = Clock::now();
    EXPECT_EQ(syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &time, nullptr, 0), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_GE(Clock::now() - futex_begin, 12ms);
  });
}

// The preemption signal, sent by hand to a thread that sleeps in a call: as a late one of urge's.
TEST_P(InterruptionTest, AHandlerOfTheProgramsInterruptsAsEver) {
  struct sigaction action {
  }, before{};
  static std::atomic<int> handled{0};
  handled = 0;
  action.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR1, &action, &before);
  run([&] {
    const Hogs hogs(GetParam());
    std::atomic<pthread_t> sleeper{0};
    wait_group all;
    std::atomic<bool> interrupted{false};
    all.go([&] {
      sleeper = pthread_self();
      const timespec time{1000, 0};
      timespec left{};
      EXPECT_EQ(nanosleep(&time, &left), -1);
      EXPECT_EQ(errno, EINTR);
      EXPECT_GT(left.tv_sec, 0);
      EXPECT_EQ(poll(nullptr, 0, 1'000'000), -1);
      EXPECT_EQ(errno, EINTR);
      interrupted = true;
    });
    while (!interrupted) {
      sleep_for(500us);
      if (sleeper != 0 && !interrupted) pthread_kill(sleeper, SIGUSR1);
    }
    all.wait();
  });
  EXPECT_GE(handled, 2);
  sigaction(SIGUSR1, &before, nullptr);
}

// The child ends when another goroutine tells it to.
TEST_P(CallsTest, WaitingForAChild) {
  run([] {
    wait_group all;
    for (int g = 0; g < 4; ++g) {
      Pipe line;
      const pid_t child = fork();
      if (child == 0) {
        char c;
        _exit(read(line.ends[0], &c, 1) == 1 ? c : 100);
      }
      all.go([child, g] {
        int status;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(WEXITSTATUS(status), g);
      });
      yield();
      sleep_for(1ms);
      const char c = static_cast<char>(g);
      EXPECT_EQ(write(line.ends[1], &c, 1), 1);
    }
    all.wait();
  });
}

}  // namespace
}  // namespace urge
