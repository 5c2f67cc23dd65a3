package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// baseBytes is the length of the random bytes that every blob is cut from: the largest blob but one, so that only a
// blob of gigabytes repeats itself.
const baseBytes = 64 << 20

// headBytes begin each blob and make it unlike any other: the run's seed and the blob's index.
const headBytes = 16

// strideBytes lie between the places two neighbouring blobs are cut from; prime, so that cuts seldom coincide.
const strideBytes = 40961

// blob names a content that can be made again at any time, so that what comes back is compared byte for byte.
type blob struct {
	size  int64
	index uint64
}

// payloads makes blobs that do not compress and that no earlier run has uploaded.
type payloads struct {
	base []byte
	seed uint64
}

func newPayloads(seed uint64) *payloads {
	base := make([]byte, baseBytes)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	if _, err := rand.NewChaCha8(key).Read(base); err != nil {
		panic(fmt.Sprintf("ChaCha8 promises never to fail: %v", err))
	}
	return &payloads{base: base, seed: seed}
}

func (p *payloads) head(b blob) [headBytes]byte {
	var head [headBytes]byte
	binary.LittleEndian.PutUint64(head[:8], p.seed)
	binary.LittleEndian.PutUint64(head[8:], b.index)
	return head
}

// at is the longest run of the blob's bytes at offset that lies in one piece, at most lengthMax. Only a piece with the
// head in it is a copy.
func (p *payloads) at(b blob, offset int64, lengthMax int64) []byte {
	length := min(lengthMax, b.size-offset)
	start := offset % baseBytes
	if b.size < baseBytes {
		start += int64(b.index * strideBytes % uint64(baseBytes-b.size))
	}
	piece := p.base[start:min(start+length, baseBytes)]
	if offset >= headBytes {
		return piece
	}
	head := p.head(b)
	stamped := bytes.Clone(piece)
	copy(stamped, head[offset:])
	return stamped
}

func (p *payloads) whole(b blob) []byte {
	return p.at(b, 0, b.size)
}

// check fails unless data is what the blob holds at offset.
func (p *payloads) check(b blob, offset int64, data []byte) error {
	if offset+int64(len(data)) > b.size {
		return mismatch("blob of %d bytes: received %d bytes at offset %d", b.size, len(data), offset)
	}
	for done := int64(0); done < int64(len(data)); {
		piece := p.at(b, offset+done, int64(len(data))-done)
		if !bytes.Equal(piece, data[done:done+int64(len(piece))]) {
			return mismatch("blob of %d bytes: other bytes than uploaded at offset %d or soon after", b.size, offset+done)
		}
		done += int64(len(piece))
	}
	return nil
}

func (p *payloads) digest(b blob) *repb.Digest {
	hash := sha256.New()
	for offset := int64(0); offset < b.size; {
		piece := p.at(b, offset, b.size)
		hash.Write(piece)
		offset += int64(len(piece))
	}
	return &repb.Digest{Hash: hex.EncodeToString(hash.Sum(nil)), SizeBytes: b.size}
}
