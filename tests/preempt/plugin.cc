// A small shared library that the map's tests load, allow and close.

extern "C" __attribute__((visibility("default"))) int plugin_spin(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) asm volatile("" : "+r"(sum));
  return sum + rounds;
}

// Calls back from the library's text: to its callee, a foreign frame.
extern "C" __attribute__((visibility("default"))) int plugin_call(int (*callback)(void*),
                                                                  void* argument) {
  const int result = callback(argument);
  asm volatile("" ::: "memory");  // no tail call
  return result;
}

// Calls through a lazily bound PLT slot (the library is built with -fno-builtin -Wl,-z,lazy and
// without -fno-plt).
extern "C" int abs(int);
extern "C" __attribute__((visibility("default"))) int plugin_lazy(int value) {
  const int result = abs(value);
  asm volatile("" ::: "memory");
  return result;
}
