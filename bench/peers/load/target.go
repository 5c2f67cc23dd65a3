package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// messageBytesMax is what we accept in one message: more than any server sends for a batch of ours.
const messageBytesMax = 64 << 20

// mismatchError says that the server answered, and wrongly. It is never forgiven: the program ends with status 1.
type mismatchError struct{ text string }

func (e mismatchError) Error() string { return e.text }

func mismatch(format string, values ...any) error {
	return mismatchError{fmt.Sprintf(format, values...)}
}

// connection is one TCP connection to the cache under test, with the services we call on it.
type connection struct {
	channel     *grpc.ClientConn
	cas         repb.ContentAddressableStorageClient
	actionCache repb.ActionCacheClient
	byteStream  bspb.ByteStreamClient
}

func connect(address string) (*connection, error) {
	channel, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax)))
	if err != nil {
		return nil, err
	}
	return &connection{
		channel:     channel,
		cas:         repb.NewContentAddressableStorageClient(channel),
		actionCache: repb.NewActionCacheClient(channel),
		byteStream:  bspb.NewByteStreamClient(channel),
	}, nil
}

// findMissing asks for present and absent blobs together and fails unless exactly the absent ones come back.
func (c *connection) findMissing(ctx context.Context, present, absent []*repb.Digest) error {
	digests := make([]*repb.Digest, 0, len(present)+len(absent))
	digests = append(append(digests, present...), absent...)
	response, err := c.cas.FindMissingBlobs(ctx, &repb.FindMissingBlobsRequest{BlobDigests: digests})
	if err != nil {
		return err
	}
	missing := make(map[string]int64, len(response.MissingBlobDigests))
	for _, digest := range response.MissingBlobDigests {
		missing[digest.Hash] = digest.SizeBytes
	}
	if len(missing) != len(absent) {
		return mismatch("FindMissingBlobs: %d missing, expected %d", len(missing), len(absent))
	}
	for _, digest := range absent {
		if size, found := missing[digest.Hash]; !found || size != digest.SizeBytes {
			return mismatch("FindMissingBlobs: %s was never uploaded and is not named missing", digest.Hash)
		}
	}
	return nil
}

func (c *connection) batchUpdate(ctx context.Context, p *payloads, blobs []blob, digests []*repb.Digest) error {
	requests := make([]*repb.BatchUpdateBlobsRequest_Request, len(blobs))
	for i, b := range blobs {
		requests[i] = &repb.BatchUpdateBlobsRequest_Request{Digest: digests[i], Data: p.whole(b)}
	}
	response, err := c.cas.BatchUpdateBlobs(ctx, &repb.BatchUpdateBlobsRequest{Requests: requests})
	if err != nil {
		return err
	}
	stored := make(map[string]bool, len(blobs))
	for _, one := range response.Responses {
		if code := codes.Code(one.Status.GetCode()); code != codes.OK {
			return fmt.Errorf("BatchUpdateBlobs: %s: %s: %s", one.Digest.GetHash(), code, one.Status.GetMessage())
		}
		stored[one.Digest.GetHash()] = true
	}
	for _, digest := range digests {
		if !stored[digest.Hash] {
			return mismatch("BatchUpdateBlobs: no answer for %s", digest.Hash)
		}
	}
	return nil
}

func (c *connection) batchRead(ctx context.Context, p *payloads, blobs []blob, digests []*repb.Digest) error {
	response, err := c.cas.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{Digests: digests})
	if err != nil {
		return err
	}
	asked := make(map[string]blob, len(blobs))
	for i, digest := range digests {
		asked[digest.Hash] = blobs[i]
	}
	for _, one := range response.Responses {
		if code := codes.Code(one.Status.GetCode()); code != codes.OK {
			return fmt.Errorf("BatchReadBlobs: %s: %s: %s", one.Digest.GetHash(), code, one.Status.GetMessage())
		}
		b, found := asked[one.Digest.GetHash()]
		if !found || int64(len(one.Data)) != b.size {
			return mismatch("BatchReadBlobs: %d bytes for %s", len(one.Data), one.Digest.GetHash())
		}
		if err := p.check(b, 0, one.Data); err != nil {
			return err
		}
		delete(asked, one.Digest.GetHash())
	}
	if len(asked) > 0 {
		return mismatch("BatchReadBlobs: %d of %d digests were not answered", len(asked), len(digests))
	}
	return nil
}

func (c *connection) write(ctx context.Context, p *payloads, b blob, digest *repb.Digest, uuid string, chunkBytes int64) error {
	stream, err := c.byteStream.Write(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("uploads/%s/blobs/%s/%d", uuid, digest.Hash, digest.SizeBytes)
	for offset := int64(0); offset < b.size; {
		data := p.at(b, offset, chunkBytes)
		end := offset + int64(len(data))
		err := stream.Send(&bspb.WriteRequest{ResourceName: name, WriteOffset: offset, Data: data, FinishWrite: end == b.size})
		if errors.Is(err, io.EOF) { // the server has answered early; its status comes below
			break
		}
		if err != nil {
			return err
		}
		name = ""
		offset = end
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if response.CommittedSize != b.size {
		return mismatch("Write: committed_size %d of a new blob of %d bytes", response.CommittedSize, b.size)
	}
	return nil
}

// read checks the bytes as they come; begun, unless nil, is called after each message.
func (c *connection) read(ctx context.Context, p *payloads, b blob, digest *repb.Digest, begun func()) error {
	name := fmt.Sprintf("blobs/%s/%d", digest.Hash, digest.SizeBytes)
	stream, err := c.byteStream.Read(ctx, &bspb.ReadRequest{ResourceName: name})
	if err != nil {
		return err
	}
	for offset := int64(0); ; {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if offset != b.size {
				return mismatch("Read: ended after %d of %d bytes", offset, b.size)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.check(b, offset, response.Data); err != nil {
			return err
		}
		offset += int64(len(response.Data))
		if begun != nil {
			begun()
		}
	}
}

// actionResult is what the n-th action is said to have made: one file, which is in the cache.
func actionResult(output *repb.Digest, n uint64) *repb.ActionResult {
	return &repb.ActionResult{
		OutputFiles:       []*repb.OutputFile{{Path: fmt.Sprintf("out/part-%d.o", n), Digest: output, IsExecutable: n%2 == 0}},
		ExecutionMetadata: &repb.ExecutedActionMetadata{Worker: "load"},
	}
}

func (c *connection) updateActionResult(ctx context.Context, action, output *repb.Digest, n uint64) error {
	_, err := c.actionCache.UpdateActionResult(ctx, &repb.UpdateActionResultRequest{
		ActionDigest: action, ActionResult: actionResult(output, n),
	})
	return err
}

func (c *connection) getActionResult(ctx context.Context, action, output *repb.Digest, n uint64) error {
	result, err := c.actionCache.GetActionResult(ctx, &repb.GetActionResultRequest{ActionDigest: action})
	if err != nil {
		return err
	}
	want := actionResult(output, n).OutputFiles[0]
	if len(result.OutputFiles) != 1 {
		return mismatch("GetActionResult: %d output files, expected 1", len(result.OutputFiles))
	}
	got := result.OutputFiles[0]
	if got.Path != want.Path || got.IsExecutable != want.IsExecutable ||
		got.Digest.GetHash() != output.Hash || got.Digest.GetSizeBytes() != output.SizeBytes {
		return mismatch("GetActionResult: %v, expected %v", got, want)
	}
	return nil
}
