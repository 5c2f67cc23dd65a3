package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	// batchBlobs are in one batch, and in one upload of the set that is read.
	batchBlobs = 100
	// readSetBlobs of 1 KiB are uploaded before anything is measured; calls pick from them.
	readSetBlobs = 4000
	// actions have a result in the action cache.
	actions = 1000
	// absentFirst is the index from which on no blob is ever uploaded.
	absentFirst = uint64(1) << 40
	// readFirst is the index from which large blobs to be read are made, apart from those of write rows.
	readFirst = uint64(1) << 32
	// writeFirst is the index from which blobs of write rows are made.
	writeFirst = uint64(1) << 33
	// largeReadBlobs of each size above 1 KiB are uploaded to be read: few, so that they stay in the page cache of any server.
	largeReadBlobs = 4
	// streams of 16 MiB are open together in the row that asks for memory.
	streams = 1000
	// checkedAfter is how many blobs of a write row are read back when it is over; all are asked for.
	checkedAfter = 20
)

// workload makes the rows; every server gets the same ones.
type workload struct {
	*payloads
	seconds    float64
	chunkBytes int64
	present    []*repb.Digest
	absent     []*repb.Digest
	actions    []*repb.Digest
	streamed   []*repb.Digest
}

// digests makes count digests on all processors, before the time of a row begins.
func (w *workload) digests(size int64, first uint64, count uint64) []*repb.Digest {
	made := make([]*repb.Digest, count)
	var group sync.WaitGroup
	parts := uint64(runtime.GOMAXPROCS(0))
	for part := range parts {
		group.Go(func() {
			for i := part; i < count; i += parts {
				made[i] = w.digest(blob{size, first + i})
			}
		})
	}
	group.Wait()
	return made
}

// callsIn bounds a row that would make so many calls a second on a server faster than any known.
func (w *workload) callsIn(perSecond float64, atLeast uint64) uint64 {
	return max(atLeast, uint64(math.Ceil(perSecond*w.seconds)))
}

// setUp uploads what the rows read, in batches on one connection.
func (w *workload) setUp(ctx context.Context, on *connection) error {
	w.present = w.digests(kib, 0, readSetBlobs)
	w.absent = w.digests(kib, absentFirst, readSetBlobs)
	w.actions = w.digests(2*kib, absentFirst, actions)
	for first := uint64(0); first < readSetBlobs; first += batchBlobs {
		if err := on.batchUpdate(ctx, w.payloads, batchOf(kib, first), w.present[first:first+batchBlobs]); err != nil {
			return err
		}
	}
	for n, action := range w.actions {
		if err := on.updateActionResult(ctx, action, w.present[n], uint64(n)); err != nil {
			return fmt.Errorf("UpdateActionResult: %w", err)
		}
	}
	return nil
}

func batchOf(size int64, first uint64) []blob {
	blobs := make([]blob, batchBlobs)
	for i := range blobs {
		blobs[i] = blob{size, first + uint64(i)}
	}
	return blobs
}

func nothingToPrepare(uint64) error { return nil }

// slot spreads the n-th call over a list of the given length in steps of the given size.
func slot(n uint64, step, length int) int {
	return int(n * uint64(step) % uint64(length))
}

func (w *workload) smallRows(upload uploader) []row {
	small := func(name string, call func(ctx context.Context, on *connection, n uint64) error) row {
		return row{name: name, inFlightMax: math.MaxInt, callsMax: math.MaxUint32, prepare: nothingToPrepare, call: call}
	}
	return []row{
		small("FindMissing of 1", func(ctx context.Context, on *connection, n uint64) error {
			i := slot(n, 7, readSetBlobs)
			if n%2 == 0 {
				return on.findMissing(ctx, w.present[i:i+1], nil)
			}
			return on.findMissing(ctx, nil, w.absent[i:i+1])
		}),
		small("FindMissing of 1,000", func(ctx context.Context, on *connection, n uint64) error {
			i := slot(n, 500, readSetBlobs)
			return on.findMissing(ctx, w.present[i:i+500], w.absent[i:i+500])
		}),
		small("GetActionResult", func(ctx context.Context, on *connection, n uint64) error {
			i := slot(n, 7, actions)
			return on.getActionResult(ctx, w.actions[i], w.present[i], uint64(i))
		}),
		small("BatchRead 100 x 1 KiB", func(ctx context.Context, on *connection, n uint64) error {
			i := slot(n, batchBlobs, readSetBlobs)
			return on.batchRead(ctx, w.payloads, batchOf(kib, uint64(i)), w.present[i:i+batchBlobs])
		}),
		w.batchUpdateRow("BatchUpdate 100 x 1 KiB", kib, w.callsIn(3000, 1), math.MaxInt),
		w.batchUpdateRow("BatchUpdate 100 x 16 KiB", 16*kib, w.callsIn(500, 1), 16),
		w.writeRow("write 1 KiB", kib, false, w.callsIn(32_000, 1), math.MaxInt),
		w.writeRow("write 16 KiB", 16*kib, false, w.callsIn(16_000, 1), math.MaxInt),
		small("read 1 KiB", func(ctx context.Context, on *connection, n uint64) error {
			i := slot(n, 7, readSetBlobs)
			return on.read(ctx, w.payloads, blob{kib, uint64(i)}, w.present[i], nil)
		}),
		w.readRow("read 16 KiB", 16*kib, false, math.MaxInt, upload),
	}
}

func (w *workload) batchUpdateRow(name string, size int64, callsMax uint64, inFlightMax int) row {
	var digests []*repb.Digest
	const first = readSetBlobs
	return row{
		name: name, inFlightMax: inFlightMax, callsMax: callsMax,
		prepare: func(calls uint64) error {
			digests = w.digests(size, first, calls*batchBlobs)
			return nil
		},
		call: func(ctx context.Context, on *connection, n uint64) error {
			return on.batchUpdate(ctx, w.payloads, batchOf(size, first+n*batchBlobs), digests[n*batchBlobs:(n+1)*batchBlobs])
		},
		after: func(ctx context.Context, on *connection, calls uint64) error {
			return w.checkStored(ctx, on, size, first, digests[:calls*batchBlobs])
		},
	}
}

// checkStored fails unless the server has every blob, and gives some of them back as they were.
func (w *workload) checkStored(ctx context.Context, on *connection, size int64, first uint64, digests []*repb.Digest) error {
	for i := 0; i < len(digests); i += 1000 {
		if err := on.findMissing(ctx, digests[i:min(i+1000, len(digests))], nil); err != nil {
			return err
		}
	}
	readBack := min(checkedAfter, len(digests), max(1, int(gib/4/size)))
	for k := range readBack {
		i := k * len(digests) / readBack
		if err := on.read(ctx, w.payloads, blob{size, first + uint64(i)}, digests[i], nil); err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) writeRow(name string, size int64, asBytes bool, callsMax uint64, inFlightMax int) row {
	var digests []*repb.Digest
	made := row{
		name: name, inFlightMax: inFlightMax, callsMax: callsMax,
		prepare: func(calls uint64) error {
			digests = w.digests(size, writeFirst, calls)
			return nil
		},
		call: func(ctx context.Context, on *connection, n uint64) error {
			uuid := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(w.seed), uint64(size)<<16^n)
			return on.write(ctx, w.payloads, blob{size, writeFirst + n}, digests[n], uuid[:36], w.chunkBytes)
		},
		after: func(ctx context.Context, on *connection, calls uint64) error {
			return w.checkStored(ctx, on, size, writeFirst, digests[:calls])
		},
	}
	if asBytes {
		made.bytesPerCall = size
	}
	return made
}

// streamsRow opens all streams, and reads on from the first message of each only when every one has come: that many are
// then truly under way. What it costs the server is memory, which whoever started it measures.
func (w *workload) streamsRow(upload uploader) row {
	made := w.readRow("1,000 streams of 16 MiB", 16*mib, true, streams, upload)
	made.callsMax, made.allAtOnce = streams, true
	var begun sync.WaitGroup
	begun.Add(streams)
	made.call = func(ctx context.Context, on *connection, n uint64) error {
		var once sync.Once
		meet := func() { once.Do(begun.Done) }
		defer meet()
		i := n % largeReadBlobs
		return on.read(ctx, w.payloads, blob{16 * mib, readFirst + i}, w.streamed[i], func() {
			meet()
			begun.Wait()
		})
	}
	prepare := made.prepare
	made.prepare = func(calls uint64) error {
		w.streamed = w.digests(16*mib, readFirst, largeReadBlobs)
		return prepare(calls)
	}
	return made
}

// uploader stores the blobs that a row reads; the first of them has this index.
type uploader func(digests []*repb.Digest, first uint64) error

// readRow reads a few blobs again and again.
func (w *workload) readRow(name string, size int64, asBytes bool, inFlightMax int, upload uploader) row {
	const first = readFirst
	var digests []*repb.Digest
	blobs := uint64(largeReadBlobs)
	if size >= gib {
		blobs = 1
	}
	made := row{
		name: name, inFlightMax: inFlightMax, callsMax: math.MaxUint32,
		prepare: func(uint64) error {
			digests = w.digests(size, first, blobs)
			return upload(digests, first)
		},
		call: func(ctx context.Context, on *connection, n uint64) error {
			return on.read(ctx, w.payloads, blob{size, first + n%blobs}, digests[n%blobs], nil)
		},
	}
	if asBytes {
		made.bytesPerCall = size
	}
	return made
}

// uploadOn uploads over ByteStream on this connection.
func (w *workload) uploadOn(ctx context.Context, on *connection) uploader {
	return func(digests []*repb.Digest, first uint64) error {
		for i, digest := range digests {
			uuid := fmt.Sprintf("%08x-0000-4000-9000-%012x", uint32(w.seed), uint64(digest.SizeBytes)<<8^uint64(i))
			if err := on.write(ctx, w.payloads, blob{digest.SizeBytes, first + uint64(i)}, digest, uuid[:36], w.chunkBytes); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *workload) largeRows(upload uploader, withHuge, withStreams bool) []row {
	rows := []row{
		w.writeRow("write 1 MiB", mib, true, w.callsIn(800, 1), 16),
		w.readRow("read 1 MiB", mib, true, 16, upload),
		w.writeRow("write 64 MiB", 64*mib, true, w.callsIn(12, 4), 4),
		w.readRow("read 64 MiB", 64*mib, true, 4, upload),
	}
	if withHuge {
		rows = append(rows, w.writeRow("write 2 GiB", 2*gib, true, 1, 1), w.readRow("read 2 GiB", 2*gib, true, 1, upload))
	}
	if withStreams {
		writes := w.writeRow("1,000 writes of 16 MiB", 16*mib, true, streams, streams)
		writes.allAtOnce = true
		rows = append(rows, w.streamsRow(upload), writes)
	}
	return rows
}
