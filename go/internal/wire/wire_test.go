// SPDX-License-Identifier: MPL-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// full returns a head of each command with every field that it may have.
func full() []Head {
	headers := []Header{{"k", "vw"}, {"k", ""}}
	return []Head{
		{Command: Hello, Flags: Worker | Bundles, Time: 1000, Value: WindowMax, Name: "upper", Key: "host-1", Headers: headers},
		{Command: Hello, Time: 1000, Key: "host-1"},
		{Command: Welcome, Flags: Bundles, Time: 1000, Value: 10, Key: "0123456789abcdef", Headers: headers},
		{Command: Request, Flags: Open | Trace, ID: 0x0102030405060708, Conversation: 0x1112131415161718,
			Time: 0x01020304, Value: 0x00112233, Attempt: 2, Attempts: 3, Name: "upper", Headers: headers},
		{Command: Request, Flags: Durable, ID: 1, Time: 1, Attempts: 10, Name: "é"},
		{Command: Reply, Flags: Last, ID: 7, Conversation: 4, Time: 8, Value: 9, Status: AppError, Attempt: 1,
			Code: 0xdeadbeef, Text: "a\ttext", Headers: headers},
		{Command: Cancel, ID: 5},
		{Command: Credit, Time: 3, Value: 64},
		{Command: Heartbeat, Time: 60000},
		{Command: Drain},
		{Command: Bye, Status: KeyMismatch, Text: "bye"},
		{Command: End, Conversation: 6},
		{Command: Accepted, ID: 5, Conversation: 6, Headers: headers},
	}
}

func TestHeadersAreMeasuredAsTheyAreEncoded(t *testing.T) {
	for _, head := range full() {
		without := head
		without.Headers = nil
		if got, want := HeadersSize(head.Headers), len(head.Append(nil))-len(without.Append(nil)); got != want {
			t.Errorf("%d bytes of headers for %d", got, want)
		}
	}
}

func TestAHeadIsDecodedAsItWasEncoded(t *testing.T) {
	for _, head := range full() {
		got, rest, err := Decode(head.Append(nil))
		if err != nil || rest != nil || !reflect.DeepEqual(got, head) {
			t.Errorf("%+v became %+v, %v, %v", head, got, rest, err)
		}
	}
}

// The bytes are written by hand from the tables of docs/PROTOCOL.md, so that both directions cannot be wrong alike.
func TestTheLayoutIsThatOfTheProtocol(t *testing.T) {
	head := Head{Command: Request, Flags: Inline | Trace, ID: 0x0102030405060708, Conversation: 0x1112131415161718,
		Time: 0x01020304, Value: 0x00112233, Attempt: 2, Attempts: 3, Name: "up", Headers: []Header{{"k", "vw"}}}
	want := "5250" + "01" + "03" + "0038" + "0011" + "0102030405060708" + "1112131415161718" + "01020304" + "00112233" +
		"00" + "02" + "03" + "00" + "02" + "00" + "0000" + "0006" + "0000" + "00000000" + "7570" + "016b00027677"
	if got := hex.EncodeToString(head.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheFirstBodyFrameFollowsTheHeadOnlyWithInline(t *testing.T) {
	head := Head{Command: Request, Flags: Inline, ID: 1, Time: 1, Attempts: 1, Name: "a"}
	_, rest, err := Decode(append(head.Append(nil), "body"...))
	if err != nil || string(rest) != "body" {
		t.Errorf("%q, %v", rest, err)
	}
	if _, rest, err = Decode(head.Append(nil)); err != nil || rest == nil || len(rest) != 0 {
		t.Errorf("an empty frame is a frame: %v, %v", rest, err)
	}
	head.Flags = 0
	if _, _, err = Decode(append(head.Append(nil), 'x')); !errors.Is(err, ErrMalformed) {
		t.Errorf("bytes behind a head without the flag: %v", err)
	}
}

func TestWhatACommandDoesNotHaveIsRefused(t *testing.T) {
	bad := map[string]Head{
		"no id":                   {Command: Cancel},
		"a field of another":      {Command: Cancel, ID: 1, Time: 1},
		"a flag of another":       {Command: Cancel, ID: 1, Flags: Inline},
		"a reply of a stream":     {Command: Reply, ID: 1, Flags: Stream},
		"a grant of nothing":      {Command: Grant, ID: 1},
		"an unknown command":      {Command: 14},
		"command 0":               {},
		"an unknown status":       {Command: Bye, Status: statusEnd},
		"no attempts":             {Command: Request, ID: 1, Time: 1, Name: "a"},
		"11 attempts":             {Command: Request, ID: 1, Time: 1, Name: "a", Attempts: 11},
		"over a day":              {Command: Request, ID: 1, Time: DeadlineMaxMS + 1, Name: "a", Attempts: 1},
		"no service":              {Command: Request, ID: 1, Time: 1, Attempts: 1},
		"a service with control":  {Command: Request, ID: 1, Time: 1, Attempts: 1, Name: "a\n"},
		"OPEN of nothing":         {Command: Request, ID: 1, Time: 1, Attempts: 1, Name: "a", Flags: Open},
		"a job in a conversation": {Command: Request, ID: 1, Time: 1, Attempts: 1, Name: "a", Flags: Durable, Conversation: 1},
		"a job in parts":          {Command: Request, ID: 1, Time: 1, Attempts: 1, Name: "a", Flags: Durable | More},
		"a service of a client":   {Command: Hello, Name: "a"},
		"a window of a client":    {Command: Hello, Value: 1},
		"a worker of no service":  {Command: Hello, Flags: Worker},
		"a text with control":     {Command: Bye, Text: "a\x7f"},
		"a long interval":         {Command: Heartbeat, Time: 60001},
		"END of nothing":          {Command: End},
		"no job":                  {Command: Accepted, ID: 1},
		"a header key":            {Command: Welcome, Headers: []Header{{"K", "v"}}},
		"an empty header key":     {Command: Welcome, Headers: []Header{{"", "v"}}},
		"a header with control":   {Command: Welcome, Headers: []Header{{"k", "\t"}}},
		"65 headers":              {Command: Welcome, Headers: make65()},
	}
	for name, head := range bad {
		if _, _, err := Decode(head.Append(nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func make65() []Header {
	headers := make([]Header, 65)
	for i := range headers {
		headers[i] = Header{"k", "v"}
	}
	return headers
}

func TestEveryShorterHeadAndEveryOtherSizeIsRefused(t *testing.T) {
	for _, head := range full() {
		bytes := head.Append(nil)
		for size := range bytes {
			if _, _, err := Decode(bytes[:size]); !errors.Is(err, ErrMalformed) {
				t.Errorf("command %d, %d of %d bytes: %v", head.Command, size, len(bytes), err)
			}
		}
		for _, at := range []int{0, 1, 2, 5, 35, 36, 37, 39, 41, 42, 43} {
			changed := append([]byte(nil), bytes...)
			changed[at] += 128
			if _, _, err := Decode(changed); !errors.Is(err, ErrMalformed) {
				t.Errorf("command %d, byte %d changed: %v", head.Command, at, err)
			}
		}
	}
}

// The corpus of the C codec's fuzzer: this one reads every valid head there as it was written.
func TestTheHeadsOfTheCorpusAreReadAndWrittenAlike(t *testing.T) {
	paths, _ := filepath.Glob("../../../tests/fuzz/corpus/wire/*")
	read := 0
	for _, path := range paths {
		frame, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if head, rest, err := Decode(frame); err == nil {
			read++
			if !bytes.Equal(append(head.Append(nil), rest...), frame) {
				t.Errorf("%s is written in another way", path)
			}
		}
	}
	if len(paths) > 0 && read < 8 {
		t.Errorf("only %d of %d are read", read, len(paths))
	}
}

func TestHeadersThatCannotTravelAreRefused(t *testing.T) {
	for _, headers := range [][]Header{
		{{"k", strings.Repeat("v", 4097)}}, {{strings.Repeat("k", 64), ""}}, {{"k", "a\nb"}},
		{{"k", strings.Repeat("v", 4096)}, {"k", strings.Repeat("v", 4091)}}, make65(),
	} {
		if err := CheckHeaders(headers); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d headers: %v", len(headers), err)
		}
	}
	if err := CheckHeaders([]Header{{"k", strings.Repeat("v", 4096)}, {"k", strings.Repeat("v", 4088)}}); err != nil {
		t.Errorf("8192 bytes: %v", err)
	}
}

// pack collects what Pack writes.
func pack(t *testing.T, messages [][][]byte) [][][]byte {
	var sent [][][]byte
	if err := Pack(messages, func(frames ...[]byte) error { sent = append(sent, frames); return nil }); err != nil {
		t.Fatal(err)
	}
	return sent
}

func unpack(t *testing.T, sent [][][]byte) (messages [][][]byte) {
	for _, frames := range sent {
		if !IsBundle(frames[0]) {
			messages = append(messages, frames)
			continue
		}
		if len(frames[0]) > BundleMax {
			t.Errorf("a bundle of %d bytes", len(frames[0]))
		}
		split, err := Split(frames[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range split {
			messages = append(messages, [][]byte{message})
		}
	}
	return messages
}

func TestMessagesTravelInBundlesInTheirOrderAndLargeOnesAlone(t *testing.T) {
	var messages [][][]byte
	add := func(sizes ...int) {
		var message [][]byte
		for _, size := range sizes {
			message = append(message, bytes.Repeat([]byte{byte('a' + len(messages)%26)}, size))
		}
		messages = append(messages, message)
	}
	add(48)
	add(60)
	add(48, 100000) // of two frames
	add(70)
	for i := 0; i < 40; i++ {
		add(4000)
	}
	add(48, 0)
	sent := pack(t, messages)
	if !reflect.DeepEqual(unpack(t, sent), messages) {
		t.Error("they are not what was sent")
	}
	// One bundle of two; one that goes alone; 41 in three bundles; one that goes alone.
	if len(sent) != 6 {
		t.Errorf("%d messages of ZeroMQ", len(sent))
	}
	if one := pack(t, messages[:1]); len(one) != 1 || IsBundle(one[0][0]) {
		t.Error("a single message goes alone")
	}
}

func TestABundleThatDoesNotAddUpIsRefused(t *testing.T) {
	for _, text := range []string{"RB\x01\x00", "RB\x01\x00\x00\x00\x00", "RB\x01\x00\x00\x00\x00\x00", "RB\x02\x00\x00\x00\x00\x01x",
		"RB\x01\x01\x00\x00\x00\x01x", "RB\x01\x00\x00\x00\x00\x02x", "RB\x01\x00\xff\xff\xff\xffx", "RB\x01\x00\x00\x00\x00\x01xy"} {
		if _, err := Split([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, head := range full() {
		f.Add(head.Append(nil))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if head, rest, err := Decode(frame); err == nil && !bytes.Equal(append(head.Append(nil), rest...), frame) {
			t.Errorf("%+v is written in another way", head)
		}
		if messages, err := Split(frame); err == nil {
			size := 4
			for _, message := range messages {
				size += 4 + len(message)
			}
			if size != len(frame) {
				t.Errorf("a bundle of %d bytes has %d", len(frame), size)
			}
		}
	})
}
