// Command load asks one question of any REAPI cache on a gRPC address: how many calls, or how many bytes, a second does
// it serve to several connections at once? It shares no code with any server, compares every byte it receives with
// what it uploaded, and prints one JSON document. Status 1 means that the server gave a wrong answer or none.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// settings are the flags.
type settings struct {
	address, httpAddress  string
	rows                  string
	connections, inFlight int
	seconds, warmUp       float64
	chunkBytes            int64
	huge, streams         bool
	seed                  uint64
	callTimeout           time.Duration
	serverPid             int
}

// report is what is printed.
type report struct {
	Address     string    `json:"address"`
	Connections int       `json:"connections"`
	InFlight    int       `json:"inFlight"`
	Seconds     float64   `json:"seconds"`
	ChunkBytes  int64     `json:"chunkBytes"`
	Seed        uint64    `json:"seed"`
	Rows        []figures `json:"rows"`
}

func readFlags() settings {
	var s settings
	flag.StringVar(&s.address, "address", "", "HOST:PORT of the cache's gRPC service; this or -http is required")
	flag.StringVar(&s.httpAddress, "http", "", "HOST:PORT of /cas over HTTP; with it, blobs are also read there")
	flag.StringVar(&s.rows, "rows", "", "only rows whose name contains one of these words, separated by commas")
	flag.IntVar(&s.connections, "connections", 16, "TCP connections")
	flag.IntVar(&s.inFlight, "in-flight", 64, "calls under way at once, over all connections; large blobs have fewer")
	flag.Float64Var(&s.seconds, "seconds", 3, "measured time of a row")
	flag.Float64Var(&s.warmUp, "warm-up", 1, "seconds of a row before its measured time")
	flag.Int64Var(&s.chunkBytes, "chunk-bytes", 64*kib, "bytes in one message of a ByteStream write")
	flag.BoolVar(&s.huge, "huge", false, "also write and read a blob of 2 GiB")
	flag.BoolVar(&s.streams, "streams", false, "also read, and write, 16 MiB on 1,000 streams at once")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "of the bytes; two runs with one seed upload the same blobs")
	flag.DurationVar(&s.callTimeout, "call-timeout", 2*time.Minute, "of one call")
	flag.IntVar(&s.serverPid, "server-pid", 0, "process under test, for what a call costs it and its children; Linux only")
	flag.Parse()
	if (s.address == "" && s.httpAddress == "") || flag.NArg() > 0 || s.connections < 1 || s.inFlight < 1 || s.chunkBytes < 1 {
		flag.Usage()
		os.Exit(2)
	}
	return s
}

func wanted(name, words string) bool {
	for word := range strings.SplitSeq(words, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// rows are those of the addresses that were given. The connections are of gRPC; without its address there is one that
// nobody uses, since HTTP rows bring their own.
func (w *workload) rows(ctx context.Context, s settings) ([]*connection, []row, error) {
	var rows []row
	if s.httpAddress != "" {
		rows = w.httpRows(ctx, newHTTPTarget(s.httpAddress, s.connections))
	}
	if s.address == "" {
		unused, err := connect("127.0.0.1:0")
		return []*connection{unused}, rows, err
	}
	connections := make([]*connection, s.connections)
	for i := range connections {
		connected, err := connect(s.address)
		if err != nil {
			return nil, nil, err
		}
		connections[i] = connected
	}
	if err := w.setUp(ctx, connections[0]); err != nil {
		return nil, nil, fmt.Errorf("set up: %w", err)
	}
	upload := w.uploadOn(ctx, connections[0])
	rows = append(w.largeRows(upload, s.huge, s.streams), rows...)
	return connections, append(w.smallRows(upload), rows...), nil
}

func run(ctx context.Context, s settings) (report, error) {
	done := report{Address: s.address, Connections: s.connections, InFlight: s.inFlight, Seconds: s.seconds,
		ChunkBytes: s.chunkBytes, Seed: s.seed}
	work := &workload{payloads: newPayloads(s.seed), seconds: s.seconds + s.warmUp, chunkBytes: s.chunkBytes}
	connections, rows, err := work.rows(ctx, s)
	if err != nil {
		return done, err
	}
	for _, one := range connections {
		defer one.channel.Close()
	}
	limits := bounds{
		warmUp:   time.Duration(s.warmUp * float64(time.Second)),
		measured: time.Duration(s.seconds * float64(time.Second)),
		inFlight: s.inFlight, callTimeout: s.callTimeout, serverPid: s.serverPid,
	}
	for _, r := range rows {
		if wanted(r.name, s.rows) {
			done.Rows = append(done.Rows, measure(ctx, r, connections, limits))
		}
	}
	return done, nil
}

func main() {
	done, err := run(context.Background(), readFlags())
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(done); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	failed := false
	for _, row := range done.Rows {
		if row.Errors > 0 {
			fmt.Fprintf(os.Stderr, "load: %s: %d errors, the first: %s\n", row.Row, row.Errors, row.FirstError)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
