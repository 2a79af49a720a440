# Run by gdb: stops at an injected call, and at each instruction from there to its return demands
# that gdb's backtrace goes on through the interrupted function to the bottom of the goroutine.
import gdb

INSTRUCTIONS = 60  # at least: fewer, and something was stepped over


def names():
    frame, found = gdb.newest_frame(), []
    while frame is not None:
        found.append(frame.name())
        frame = frame.older()
    return found


def main():
    for command in ('set pagination off', 'set confirm off', 'set height 0',
                    'handle SIGURG nostop noprint pass', 'break *urge_async_preempt', 'run',
                    'delete', 'set scheduler-locking step',
                    # gdb takes longer for a step than the runtime's timer for its next signal.
                    'handle SIGURG nopass'):
        gdb.execute(command, to_string=True)
    steps = 0
    while True:
        stack = names()
        if stack[0] != 'urge_async_preempt':
            break
        steps += 1
        if 'CallFreeHog' not in stack or stack[-1] != 'urge_goexit':
            raise gdb.GdbError('at instruction %d: %s' % (steps, stack))
        pc = gdb.newest_frame().pc()
        here = gdb.newest_frame().architecture().disassemble(pc)[0]
        if here['asm'].startswith('call'):
            gdb.execute('tbreak *%d' % (pc + here['length']), to_string=True)
            gdb.execute('continue', to_string=True)
        else:
            gdb.execute('stepi', to_string=True)
            if here['asm'].startswith('pushf'):  # the flag by which gdb steps is no part of it
                gdb.execute('set *(long *)$rsp &= ~0x100L')
    if 'CallFreeHog' not in stack or steps < INSTRUCTIONS:
        raise gdb.GdbError('after %d instructions: %s' % (steps, stack))
    print('unwound from each of %d instructions' % steps)
    gdb.execute('kill', to_string=True)


main()
