package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// httpReadBytes are read from a response at once.
const httpReadBytes = 256 * kib

// httpTarget is a cache, or a plain file server, that takes PUT and GET of /cas/HASH.
type httpTarget struct {
	client http.Client
	base   string
}

func newHTTPTarget(address string, connections int) *httpTarget {
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, DisableCompression: true}
	return &httpTarget{client: http.Client{Transport: transport}, base: "http://" + address + "/cas/"}
}

func (t *httpTarget) put(ctx context.Context, p *payloads, b blob, digest *repb.Digest) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, t.base+digest.Hash, bytes.NewReader(p.whole(b)))
	if err != nil {
		return err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("PUT %s: %s", digest.Hash, response.Status)
	}
	return nil
}

// get checks the bytes as they come.
func (t *httpTarget) get(ctx context.Context, p *payloads, b blob, digest *repb.Digest) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+digest.Hash, nil)
	if err != nil {
		return err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", digest.Hash, response.Status)
	}
	buffer := make([]byte, min(b.size+1, httpReadBytes))
	for offset := int64(0); ; {
		read, err := response.Body.Read(buffer)
		if checkErr := p.check(b, offset, buffer[:read]); checkErr != nil {
			return checkErr
		}
		offset += int64(read)
		if err == io.EOF && offset == b.size {
			return nil
		}
		if err == io.EOF {
			return mismatch("GET %s: ended after %d of %d bytes", digest.Hash, offset, b.size)
		}
		if err != nil {
			return err
		}
	}
}

// httpRows read blobs that they have put before.
func (w *workload) httpRows(ctx context.Context, on *httpTarget) []row {
	get := func(name string, size int64, asBytes bool, inFlightMax int) row {
		var digests []*repb.Digest
		made := w.readRow(name, size, asBytes, inFlightMax, func(uploaded []*repb.Digest, first uint64) error {
			digests = uploaded
			for i, digest := range digests {
				if err := on.put(ctx, w.payloads, blob{size, first + uint64(i)}, digest); err != nil {
					return err
				}
			}
			return nil
		})
		// The row's own call reads over gRPC.
		made.call = func(ctx context.Context, _ *connection, n uint64) error {
			i := n % largeReadBlobs
			return on.get(ctx, w.payloads, blob{size, readFirst + i}, digests[i])
		}
		return made
	}
	return []row{
		get("GET 1 KiB", kib, false, math.MaxInt),
		get("GET 16 KiB", 16*kib, false, math.MaxInt),
		get("GET 1 MiB", mib, true, 16),
		get("GET 64 MiB", 64*mib, true, 4),
	}
}
