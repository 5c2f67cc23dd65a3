package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errorsMax is how many failed calls end a row: one more tells nothing that these did not.
const errorsMax = 100

// row is one line of the table: one kind of call, made again and again until its time or its count is used up.
type row struct {
	name string
	// bytesPerCall is 0 where calls are counted, not bytes.
	bytesPerCall int64
	// inFlightMax holds big blobs to fewer at once than small calls.
	inFlightMax int
	// allAtOnce makes callsMax calls, each once and together, whatever is in flight elsewhere; there is no warm-up.
	allAtOnce bool
	// callsMax bounds the row, and what prepare makes ready for it.
	callsMax uint64
	prepare  func(calls uint64) error
	call     func(ctx context.Context, on *connection, n uint64) error
	// after checks the first calls of the row once more, outside the measured time.
	after func(ctx context.Context, on *connection, calls uint64) error
}

// figures is what is reported of a row.
type figures struct {
	Row        string  `json:"row"`
	Unit       string  `json:"unit"`
	Rate       float64 `json:"rate"`
	Calls      int     `json:"calls"`
	Seconds    float64 `json:"seconds"`
	P50Ms      float64 `json:"p50Ms"`
	P99Ms      float64 `json:"p99Ms"`
	Errors     int     `json:"errors"`
	Mismatches int     `json:"mismatches"`
	FirstError string  `json:"firstError,omitempty"`
	// Of a call, in microseconds; all threads of the process, in and outside of the kernel.
	ServerCPUUs float64 `json:"serverCpuUs"`
	ClientCPUUs float64 `json:"clientCpuUs"`
	// IdleShare is what of all processors' time nobody used, from 0 to 1.
	IdleShare float64 `json:"idleShare"`
}

// bounds of a measurement, from the flags.
type bounds struct {
	warmUp, measured, callTimeout time.Duration
	inFlight                      int
	// serverPid is 0 when it is not known.
	serverPid int
}

// tally is what the goroutines of one row share.
type tally struct {
	mutex      sync.Mutex
	tookNs     []int64
	errors     int
	mismatches int
	firstError string
}

func (t *tally) fail(err error) (failed int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.errors++
	if errors.As(err, new(mismatchError)) {
		t.mismatches++
	}
	if t.firstError == "" {
		t.firstError = err.Error()
	}
	return t.errors
}

func measure(ctx context.Context, r row, connections []*connection, limits bounds) figures {
	var result tally
	if err := r.prepare(r.callsMax); err != nil {
		result.fail(fmt.Errorf("prepare: %w", err))
		return result.figures(r, 0)
	}
	var next atomic.Uint64
	if r.allAtOnce {
		limits.inFlight, limits.measured = int(r.callsMax), limits.callTimeout
	} else {
		repeat(ctx, r, connections, limits, limits.warmUp, r.callsMax/4, &next, &result)
		result.tookNs = nil
	}
	before, err := usageNow(limits.serverPid)
	if err != nil {
		result.fail(err)
		return result.figures(r, 0)
	}
	begin := time.Now()
	repeat(ctx, r, connections, limits, limits.measured, r.callsMax, &next, &result)
	took := time.Since(begin)
	after, err := usageNow(limits.serverPid)
	if err != nil {
		result.fail(err)
	}
	if r.after != nil && result.errors == 0 {
		if err := r.after(ctx, connections[0], min(next.Load(), r.callsMax)); err != nil {
			result.fail(fmt.Errorf("after the row: %w", err))
		}
	}
	made := result.figures(r, took)
	made.spend(before, after, took)
	return made
}

// spend sets what processors did between the two.
func (f *figures) spend(before, after usage, took time.Duration) {
	if f.Calls == 0 {
		return
	}
	perCall := func(spent time.Duration) float64 { return float64(spent.Microseconds()) / float64(f.Calls) }
	f.ServerCPUUs = perCall(after.server - before.server)
	f.ClientCPUUs = perCall(after.client - before.client)
	f.IdleShare = float64(after.idle-before.idle) / (float64(took) * float64(runtime.NumCPU()))
}

// repeat calls until the time is up or call number callsMax was made, and returns when the last call has ended.
func repeat(ctx context.Context, r row, connections []*connection, limits bounds, lasting time.Duration,
	callsMax uint64, next *atomic.Uint64, result *tally) {
	end := time.Now().Add(lasting)
	var group sync.WaitGroup
	for i := range min(limits.inFlight, r.inFlightMax) {
		group.Go(func() {
			var tookNs []int64
			for time.Now().Before(end) {
				n := next.Add(1) - 1
				if n >= callsMax {
					next.Add(^uint64(0)) // not made: the next phase begins where this one ended
					break
				}
				begin := time.Now()
				callCtx, cancel := context.WithTimeout(ctx, limits.callTimeout)
				err := r.call(callCtx, connections[i%len(connections)], n)
				cancel()
				if err == nil {
					tookNs = append(tookNs, time.Since(begin).Nanoseconds())
				} else if result.fail(err) >= errorsMax {
					break
				}
			}
			result.mutex.Lock()
			result.tookNs = append(result.tookNs, tookNs...)
			result.mutex.Unlock()
		})
	}
	group.Wait()
}

func (t *tally) figures(r row, took time.Duration) figures {
	f := figures{
		Row: r.name, Unit: "calls/s", Calls: len(t.tookNs), Seconds: took.Seconds(),
		Errors: t.errors, Mismatches: t.mismatches, FirstError: t.firstError,
	}
	if r.bytesPerCall > 0 {
		f.Unit = "MB/s"
	}
	if f.Calls == 0 {
		return f
	}
	f.Rate = float64(f.Calls) / f.Seconds
	if r.bytesPerCall > 0 {
		f.Rate *= float64(r.bytesPerCall) / 1e6
	}
	slices.Sort(t.tookNs)
	at := func(share float64) float64 { return float64(t.tookNs[int(share*float64(f.Calls-1))]) / 1e6 }
	f.P50Ms, f.P99Ms = at(0.5), at(0.99)
	return f
}
