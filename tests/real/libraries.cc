#include "tests/real/libraries.h"

#include <gmp.h>
#include <lzma.h>
#include <sqlite3.h>
#include <zlib.h>
#include <lua5.4/lua.hpp>

#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace urge::real {
namespace {

void Check(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

std::uint64_t Zlib(std::uint64_t seed) {
  const std::string text = Text(seed, 200'000);
  uLongf size = compressBound(text.size());
  std::string packed(size, 0);
  Check(compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                  reinterpret_cast<const Bytef*>(text.data()), text.size(), 9) == Z_OK,
        "zlib: compress");
  packed.resize(size);
  std::string back(text.size(), 0);
  uLongf length = back.size();
  Check(uncompress(reinterpret_cast<Bytef*>(back.data()), &length,
                   reinterpret_cast<const Bytef*>(packed.data()), packed.size()) == Z_OK &&
            back == text,
        "zlib: what was packed is not what comes out");
  return Digest(packed);
}

std::uint64_t Lzma(std::uint64_t seed) {
  const std::string text = Text(seed, 60'000);
  std::vector<std::uint8_t> packed(lzma_stream_buffer_bound(text.size()));
  std::size_t size = 0;
  Check(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr,
                                reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                packed.data(), &size, packed.size()) == LZMA_OK,
        "lzma: encode");
  std::string back(text.size(), 0);
  std::uint64_t memory = UINT64_MAX;
  std::size_t in = 0, out = 0;
  Check(lzma_stream_buffer_decode(&memory, 0, nullptr, packed.data(), &in, size,
                                  reinterpret_cast<std::uint8_t*>(back.data()), &out,
                                  back.size()) == LZMA_OK &&
            back == text,
        "lzma: what was packed is not what comes out");
  return Digest({reinterpret_cast<const char*>(packed.data()), size});
}

// Digits of e by a series, products of thousands of digits, and a power modulo a prime.
std::uint64_t Gmp(std::uint64_t seed) {
  mpz_t sum, term, base, prime;
  mpz_inits(sum, term, base, prime, nullptr);
  mpz_ui_pow_ui(term, 10, 2'000 + seed % 16);
  for (unsigned long n = 1; mpz_sgn(term) != 0; ++n) {
    mpz_add(sum, sum, term);
    mpz_tdiv_q_ui(term, term, n);
  }
  for (int i = 0; i < 5; ++i) mpz_mul(sum, sum, sum);
  mpz_set_ui(base, 3 + seed);
  mpz_ui_pow_ui(prime, 2, 2'203);
  mpz_sub_ui(prime, prime, 1);
  mpz_powm(base, base, sum, prime);
  const std::unique_ptr<char, void (*)(void*)> text(mpz_get_str(nullptr, 16, base), std::free);
  const std::uint64_t digest = Digest(text.get());
  mpz_clears(sum, term, base, prime, nullptr);
  return digest;
}

constexpr char kLuaProgram[] = R"lua(
  local seed = ...
  local sieve, primes = {}, 0
  for i = 2, 20000 do
    if not sieve[i] then
      primes = primes + 1
      for j = i * i, 20000, i do sieve[j] = true end
    end
  end
  local words, parts = {}, {}
  for i = 1, 3000 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    local word = string.format("%x", seed)
    words[word] = (words[word] or 0) + 1
    parts[#parts + 1] = word:rep(2):upper():gsub("A", "-")
  end
  local ok, message = pcall(function() error({ at = primes }) end)
  table.sort(parts)
  local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i * 0.1) end end)
  local sum = 0
  for i = 1, 1000 do sum = sum + co() end
  return primes .. ":" .. message.at .. ":" .. sum .. ":" .. table.concat(parts)
)lua";

std::uint64_t Lua(std::uint64_t seed) {
  const std::unique_ptr<lua_State, void (*)(lua_State*)> state(luaL_newstate(), lua_close);
  luaL_openlibs(state.get());
  Check(luaL_loadstring(state.get(), kLuaProgram) == LUA_OK, "lua: load");
  lua_pushinteger(state.get(), static_cast<lua_Integer>(seed));
  if (lua_pcall(state.get(), 1, 1, 0) != LUA_OK) {
    throw std::runtime_error(lua_tostring(state.get(), -1));
  }
  std::size_t length;
  const char* text = lua_tolstring(state.get(), -1, &length);
  return Digest({text, length});
}

// In its default mode, "serialized": it locks recursive mutexes of pthread's all the time.
std::uint64_t Sqlite(std::uint64_t seed) {
  Check(sqlite3_threadsafe() == 1, "sqlite: not built for threads");
  sqlite3* db = nullptr;
  Check(sqlite3_open(":memory:", &db) == SQLITE_OK, "sqlite: open");
  std::uint64_t digest = Digest("");
  const std::string program =
      "CREATE TABLE t(id INTEGER PRIMARY KEY, word TEXT, n INTEGER);"
      "CREATE INDEX by_word ON t(word);"
      "WITH RECURSIVE c(i, x) AS (SELECT 1, " +
      std::to_string(seed % 1'000) +
      " UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM c WHERE i < 3000)"
      "INSERT INTO t(word, n) SELECT printf('%x', x), x % 97 FROM c;"
      "DELETE FROM t WHERE n % 7 = 3;"
      "UPDATE t SET word = word || '-' || n WHERE id % 5 = 0;"
      "SELECT n, count(*), min(word), max(word), sum(length(word)) FROM t GROUP BY n ORDER BY n;"
      "SELECT a.word, b.word FROM t a JOIN t b ON a.n = b.n AND a.id < b.id"
      " ORDER BY a.word, b.word LIMIT 2000;";
  const auto row = [](void* argument, int columns, char** values, char**) {
    auto& sum = *static_cast<std::uint64_t*>(argument);
    for (int i = 0; i < columns; ++i) sum = Digest(values[i] == nullptr ? "" : values[i], sum);
    return 0;
  };
  const int status = sqlite3_exec(db, program.c_str(), row, &digest, nullptr);
  const std::string message = sqlite3_errmsg(db);
  sqlite3_close(db);
  if (status != SQLITE_OK) throw std::runtime_error("sqlite: " + message);
  return digest;
}

constexpr Library kLibraries[] = {
    {"zlib", "libz.so.1", Zlib, 2},
    {"lzma", "liblzma.so.5", Lzma, 2},
    {"gmp", "libgmp.so.10", Gmp, 2},
    {"lua", "liblua5.4.so.0", Lua, 2},
    {"sqlite", "libsqlite3.so.0", Sqlite, kLocksWork ? 2 : 1},
};

}  // namespace

std::span<const Library> Libraries() { return kLibraries; }

SharedDatabase::SharedDatabase() {
  sqlite3* db = nullptr;
  Check(sqlite3_open(":memory:", &db) == SQLITE_OK, "sqlite: open");
  db_ = db;
  Check(sqlite3_exec(db, "CREATE TABLE t(who INTEGER, n INTEGER)", nullptr, nullptr, nullptr) ==
            SQLITE_OK,
        "sqlite: create");
}

SharedDatabase::~SharedDatabase() { sqlite3_close(static_cast<sqlite3*>(db_)); }

void SharedDatabase::Add(int who, int n) {
  const std::string insert =
      "INSERT INTO t VALUES(" + std::to_string(who) + ", " + std::to_string(n) + ")";
  Check(sqlite3_exec(static_cast<sqlite3*>(db_), insert.c_str(), nullptr, nullptr, nullptr) ==
            SQLITE_OK,
        "sqlite: insert");
}

std::string SharedDatabase::Sums() {
  std::string sums;
  const auto row = [](void* argument, int, char** values, char**) {
    auto& text = *static_cast<std::string*>(argument);
    if (!text.empty()) text += ' ';
    text += std::string(values[0]) + ":" + values[1] + ":" + values[2];
    return 0;
  };
  Check(sqlite3_exec(static_cast<sqlite3*>(db_),
                     "SELECT who, count(*), sum(n) FROM t GROUP BY who ORDER BY who", row, &sums,
                     nullptr) == SQLITE_OK,
        "sqlite: select");
  return sums;
}

std::string Text(std::uint64_t seed, std::size_t bytes) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const std::uint64_t word = random() % 5'000;
    text += std::to_string(word * word) + (word % 11 == 0 ? ".\n" : " ");
  }
  text.resize(bytes);
  return text;
}

// FNV-1a.
std::uint64_t Digest(std::string_view bytes, std::uint64_t start) {
  for (const char c : bytes) start = (start ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return start;
}

EndlessScript::EndlessScript() : state_(luaL_newstate()) {}
EndlessScript::~EndlessScript() { lua_close(static_cast<lua_State*>(state_)); }

void EndlessScript::Run() {
  auto* state = static_cast<lua_State*>(state_);
  Check(luaL_loadstring(state, "count = 0  while true do count = count + 1 end") == LUA_OK, "load");
  Check(lua_pcall(state, 0, 0, 0) == LUA_ERRRUN, "an endless script has ended");
}

void EndlessScript::Stop() {
  const auto hook = [](lua_State* state, lua_Debug*) { luaL_error(state, "stopped"); };
  // Lua's manual: may be called at any time, by a signal handler too.
  lua_sethook(static_cast<lua_State*>(state_), hook, LUA_MASKCOUNT, 1);
}

double EndlessScript::count() const {
  auto* state = static_cast<lua_State*>(state_);
  lua_getglobal(state, "count");
  return lua_tonumber(state, -1);
}

}  // namespace urge::real
