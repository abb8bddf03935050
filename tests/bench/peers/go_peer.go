// The works of tests/bench in Go: `go_peer` lists them, `go_peer WORK` prints one's nanoseconds for each operation.
//
// A work does here what the benchmark of the same name does on weft. One thread runs all goroutines, as one runs all fibers of
// a loop, except where threads are the subject.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

const n = 200000

type work struct {
	name       string
	threads    int
	operations int
	run        func()
}

// Two goroutines pass a turn to and fro; a receive that waits and a send that wakes for each pass.
func pingPong(rounds int, pin bool) {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		if pin {
			runtime.LockOSThread()
		}
		for i := 0; i < rounds; i++ {
			<-there
			back <- struct{}{}
		}
	}()
	if pin {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	for i := 0; i < rounds; i++ {
		there <- struct{}{}
		<-back
	}
}

func thousand(each func(done *sync.WaitGroup)) {
	for i := 0; i < n/1000; i++ {
		var done sync.WaitGroup
		done.Add(1000)
		for k := 0; k < 1000; k++ {
			each(&done)
		}
		done.Wait()
	}
}

var works = []work{
	{"yield, 2 fibers", 1, n, func() {
		var done sync.WaitGroup
		done.Add(2)
		for i := 0; i < 2; i++ {
			go func() {
				for k := 0; k < n/2; k++ {
					runtime.Gosched()
				}
				done.Done()
			}()
		}
		done.Wait()
	}},
	{"park+wake, 2 fibers", 1, n, func() { pingPong(n/2, false) }},
	{"semaphore hand-over", 1, n, func() {
		a, b := make(chan struct{}, 1), make(chan struct{}, 1)
		go func() {
			for i := 0; i < n/2; i++ {
				<-a
				b <- struct{}{}
			}
		}()
		for i := 0; i < n/2; i++ {
			a <- struct{}{}
			<-b
		}
	}},
	{"mutex, uncontended", 1, n, func() {
		var m sync.Mutex
		for i := 0; i < n; i++ {
			m.Lock()
			m.Unlock() //nolint:staticcheck
		}
	}},
	{"mutex, 10 fibers contend", 1, n, func() {
		var m sync.Mutex
		var done sync.WaitGroup
		done.Add(10)
		for i := 0; i < 10; i++ {
			go func() {
				for k := 0; k < n/10; k++ {
					m.Lock()
					runtime.Gosched()
					m.Unlock()
				}
				done.Done()
			}()
		}
		done.Wait()
	}},
	{"condition, ping-pong", 1, n, func() {
		var m sync.Mutex
		changed := sync.NewCond(&m)
		turn := 0
		var done sync.WaitGroup
		done.Add(2)
		for i := 0; i < 2; i++ {
			go func(mine int) {
				for k := 0; k < n/2; k++ {
					m.Lock()
					for turn != mine {
						changed.Wait()
					}
					turn = 1 - mine
					changed.Signal()
					m.Unlock()
				}
				done.Done()
			}(i)
		}
		done.Wait()
	}},
	{"queue of one, hand-over", 1, n, func() {
		items := make(chan int, 1)
		done := make(chan struct{})
		go func() {
			for i := 0; i < n; i++ {
				<-items
			}
			close(done)
		}()
		for i := 0; i < n; i++ {
			items <- i
		}
		<-done
	}},
	{"create+join", 1, n, func() {
		for i := 0; i < n; i++ {
			done := make(chan struct{})
			go func() { close(done) }()
			<-done
		}
	}},
	{"create+join, 1000 alive", 1, n, func() { thousand(func(done *sync.WaitGroup) { go done.Done() }) }},
	{"group of 1000 children", 1, n, func() { thousand(func(done *sync.WaitGroup) { go done.Done() }) }},
	{"gather of 1000", 1, n, func() { thousand(func(done *sync.WaitGroup) { go done.Done() }) }},
	{"round trip between threads", 2, 5000, func() { pingPong(5000, true) }},
}

func main() {
	if len(os.Args) < 2 {
		for _, w := range works {
			fmt.Println(w.name)
		}
		return
	}
	for _, w := range works {
		if w.name == os.Args[1] {
			runtime.GOMAXPROCS(w.threads)
			start := time.Now()
			w.run()
			fmt.Println(float64(time.Since(start).Nanoseconds()) / float64(w.operations))
		}
	}
}
