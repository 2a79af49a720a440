// The figures of preempt_bench and core_bench for Go. Prints name, value and unit, with tabs between.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	operations = 1_000_000
	batch      = 1_000
	hogs       = 4
	roundTrips = operations / 4
)

func figure(name string, value float64, unit string) {
	fmt.Printf("%s\t%.4g\t%s\n", name, value, unit)
}

// Median of five rounds, for one operation.
func nsPerOperation(count int, work func()) float64 {
	times := make([]float64, 5)
	for i := range times {
		begin := time.Now()
		work()
		times[i] = float64(time.Since(begin).Nanoseconds()) / float64(count)
	}
	sort.Float64s(times)
	return times[2]
}

func yielders() {
	var both sync.WaitGroup
	both.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for n := 0; n < operations/2; n++ {
				runtime.Gosched()
			}
			both.Done()
		}()
	}
	both.Wait()
}

func spawns() {
	for b := 0; b < operations/batch; b++ {
		var all sync.WaitGroup
		all.Add(batch)
		for i := 0; i < batch; i++ {
			go func() { all.Done() }()
		}
		all.Wait()
	}
}

func roundTripping() {
	there, back := make(chan int), make(chan int)
	go func() {
		for n := range there {
			back <- n
		}
	}()
	for n := 0; n < roundTrips; n++ {
		there <- n
		<-back
	}
	close(there)
}

func buffered() {
	pipe := make(chan int, 128)
	go func() {
		for n := 0; n < operations; n++ {
			pipe <- n
		}
		close(pipe)
	}()
	for range pipe {
	}
}

func mutexes() {
	var mutex sync.Mutex
	var all sync.WaitGroup
	all.Add(4)
	counter := 0
	for g := 0; g < 4; g++ {
		go func() {
			for n := 0; n < operations/4; n++ {
				mutex.Lock()
				counter++
				mutex.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
}

var sink uint64

// The call-free loop of the hogs, between two looks at the clock.
func spin(state uint64) uint64 {
	for i := 0; i < 10_000; i++ {
		state = state*6364136223846793005 + 1442695040888963407
	}
	return state
}

// Runs hogs for d and returns the lengths of their slices in ms: time between gaps of over 5 ms,
// as a hog waits for three others.
func runHogs(d time.Duration, others func(stop *int32)) []float64 {
	var stop int32
	var all sync.WaitGroup
	var mu sync.Mutex
	var slices []float64
	for i := 0; i < hogs; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			var mine []float64
			state := uint64(1)
			begin := time.Now()
			last := begin
			for atomic.LoadInt32(&stop) == 0 {
				state = spin(state)
				now := time.Now()
				if now.Sub(last) > 5*time.Millisecond {
					mine = append(mine, last.Sub(begin).Seconds()*1e3)
					begin = now
				}
				last = now
			}
			mu.Lock()
			sink += state
			slices = append(slices, mine...)
			mu.Unlock()
		}()
	}
	if others != nil {
		all.Add(1)
		go func() { defer all.Done(); others(&stop) }()
	}
	time.Sleep(d)
	atomic.StoreInt32(&stop, 1)
	all.Wait()
	return slices
}

func quantiles(name string, values []float64) {
	sort.Float64s(values)
	if len(values) == 0 {
		fmt.Printf("%s, p50\tnever\tms\n%s, p99\tnever\tms\n", name, name)
		return
	}
	figure(name+", p50", values[len(values)/2], "ms")
	figure(name+", p99", values[len(values)*99/100], "ms")
}

func main() {
	runtime.GOMAXPROCS(1)
	var gaps []float64
	runHogs(5*time.Second, func(stop *int32) {
		last := time.Now()
		for atomic.LoadInt32(stop) == 0 {
			time.Sleep(time.Millisecond)
			now := time.Now()
			gaps = append(gaps, now.Sub(last).Seconds()*1e3)
			last = now
		}
	})
	quantiles("tick gap among 4 hogs", gaps)
	quantiles("slice of 4 hogs", runHogs(5*time.Second, nil))
	for _, procs := range []int{1, 2} {
		runtime.GOMAXPROCS(procs)
		where := map[int]string{1: ", 1 proc", 2: ", 2 procs"}[procs]
		figure("yield"+where, nsPerOperation(operations, yielders), "ns")
		figure("spawn + join, batches of 1000"+where, nsPerOperation(operations, spawns), "ns")
		figure("unbuffered round trip"+where, nsPerOperation(roundTrips, roundTripping), "ns")
		figure("buffered element"+where, nsPerOperation(operations, buffered), "ns")
		figure("contended mutex"+where, nsPerOperation(operations, mutexes), "ns")
	}
	if sink == 42 {
		os.Exit(1)
	}
}
