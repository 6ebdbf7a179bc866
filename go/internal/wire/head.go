// SPDX-License-Identifier: MPL-2.0

// Package wire is the codec of docs/PROTOCOL.md, sections 2 and 3: heads, headers and bundles. Its functions are pure.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The sizes of a head, in bytes.
const (
	Fixed       = 48
	NameMax     = 127
	KeyMax      = 127
	TextMax     = 1024
	HeadersMax  = 8192
	PeerNameMax = 63
)

// Limits of all parties.
const (
	Version = 1
	// FramesMax is the most frames of a message.
	FramesMax = 64
	// InlineMax is the largest first body frame that this side puts behind the head, bytes. Below, a frame of its own
	// costs more than the copy; above, the copy does.
	InlineMax = 4096
	// AttemptsMax is the most attempts of a request.
	AttemptsMax = 10
	// PriorityMax is the highest priority, PriorityDefault that of a request that states none.
	PriorityMax     = 9
	PriorityDefault = 4
	// DeadlineMaxMS is the longest deadline, ms: a day.
	DeadlineMaxMS = 86400000
	// HeartbeatMinMS and HeartbeatMaxMS are the range of the interval, ms.
	HeartbeatMinMS = 50
	HeartbeatMaxMS = 60000
	// PartCost is what a part of a body takes of a grant beside its bytes.
	PartCost = 64
	// WindowMax is the most requests that a worker may hold.
	WindowMax = 4096
	// AllMost is the largest number of answers that a request for all workers may wait for.
	AllMost = 65535
)

// Command is the kind of a message.
type Command uint8

// The commands of section 4.
const (
	Hello Command = iota + 1
	Welcome
	Request
	Reply
	Cancel
	Credit
	Heartbeat
	Drain
	Bye
	End
	Accepted
	Part
	Grant
)

// The flags of section 3.2.
const (
	Inline  = 0x0001
	Worker  = 0x0002
	Open    = 0x0004
	Last    = 0x0008
	Trace   = 0x0010
	More    = 0x0020
	Bundles = 0x0040
	Durable = 0x0080
	Keyed   = 0x0100
	// Replayed: the result was remembered by its key.
	Replayed = 0x0200
	// Stream: the client reads the reply in parts.
	Stream = 0x0400
	// All: every worker of the service is to get it.
	All = 0x0800
	// Hedge: a second worker may get the request when the first takes long.
	Hedge = 0x1000
)

// Status is a final status, by its number in docs/CONTRACT.md.
type Status uint8

// The statuses of docs/CONTRACT.md. NoBroker and Unknown never travel.
const (
	OK Status = iota
	AppError
	NoWorker
	Busy
	Draining
	Denied
	Invalid
	TooLarge
	Expired
	Cancelled
	WorkerLost
	Deadline
	ConversationLost
	KeyMismatch
	statusEnd

	NoBroker Status = 64
	Unknown  Status = 65
)

// ProvesNothingRan says whether a status proves that no worker was given the request under its last id.
func (s Status) ProvesNothingRan() bool {
	switch s {
	case NoWorker, Busy, Draining, Denied, Invalid, TooLarge, Expired, ConversationLost, KeyMismatch, NoBroker:
		return true
	}
	return false
}

// Header is one pair of a head.
type Header struct{ Key, Value string }

// Head is a decoded head. What a field means depends on the command: docs/PROTOCOL.md, section 4.
type Head struct {
	Command      Command
	Flags        uint16
	ID           uint64
	Conversation uint64
	Time         uint32
	Value        uint32
	Status       Status
	Attempt      uint8
	Attempts     uint8
	Priority     uint8 // of a request: 0 is none, otherwise the priority and 1
	Code         uint32
	Name         string
	Key          string
	Text         string
	Headers      []Header
}

// Find returns the value of the first header with this key.
func (h *Head) Find(key string) (string, bool) {
	for _, header := range h.Headers {
		if header.Key == key {
			return header.Value, true
		}
	}
	return "", false
}

// ErrMalformed is matched by every error of Decode, Split and the checks.
var ErrMalformed = errors.New("a malformed message")

func malformed(format string, args ...interface{}) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// The fields that a command may have; all others must be 0.
const (
	hasID = 1 << iota
	hasConversation
	hasTime
	hasValue
	hasStatus
	hasAttempt
	hasAttempts
	hasPriority
	hasName
	hasKey
	hasText
	hasHeaders
	hasCode
)

var shapes = [...]struct {
	fields int
	flags  uint16
}{
	Hello:   {hasTime | hasValue | hasName | hasKey | hasHeaders, Worker | Bundles},
	Welcome: {hasTime | hasValue | hasKey | hasHeaders, Bundles},
	Request: {hasID | hasConversation | hasTime | hasValue | hasAttempt | hasAttempts | hasPriority | hasName |
		hasHeaders, Inline | Open | Trace | More | Durable | Keyed | Stream | Hedge},
	Reply: {hasID | hasConversation | hasTime | hasValue | hasStatus | hasAttempt | hasText | hasHeaders | hasCode,
		Inline | Last | More | Replayed},
	Cancel:    {hasID, 0},
	Credit:    {hasTime | hasValue, 0},
	Heartbeat: {hasTime, 0},
	Drain:     {0, 0},
	Bye:       {hasStatus | hasText, 0},
	End:       {hasConversation, 0},
	Accepted:  {hasID | hasConversation | hasHeaders, 0},
	Part:      {hasID, Inline | More},
	Grant:     {hasID | hasConversation, 0},
}

// check refuses what a command does not have, and values out of their range.
func (h *Head) check() error {
	if h.Command == 0 || int(h.Command) >= len(shapes) {
		return malformed("an unknown command, %d", h.Command)
	}
	shape := shapes[h.Command]
	if h.Flags&^shape.flags != 0 {
		return malformed("a flag that command %d does not have", h.Command)
	}
	for _, field := range [...]struct {
		has   int
		empty bool
	}{
		{hasID, h.ID == 0}, {hasConversation, h.Conversation == 0}, {hasTime, h.Time == 0}, {hasValue, h.Value == 0},
		{hasStatus, h.Status == 0}, {hasAttempt, h.Attempt == 0}, {hasAttempts, h.Attempts == 0},
		{hasPriority, h.Priority == 0}, {hasName, h.Name == ""}, {hasKey, h.Key == ""}, {hasText, h.Text == ""}, {hasHeaders, len(h.Headers) == 0},
		{hasCode, h.Code == 0},
	} {
		if !field.empty && shape.fields&field.has == 0 {
			return malformed("a field that command %d does not have", h.Command)
		}
	}
	if shape.fields&hasID != 0 && h.ID == 0 {
		return malformed("no id")
	}
	if h.Status >= statusEnd {
		return malformed("an unknown status, %d", h.Status)
	}
	switch h.Command {
	case Hello:
		if h.Flags&Worker != 0 {
			return CheckName(h.Name)
		}
		if h.Name != "" || h.Value != 0 {
			return malformed("a service or a window of a client")
		}
	case Request:
		if h.Attempts == 0 || h.Attempts > AttemptsMax {
			return malformed("%d attempts; 1 to %d are allowed", h.Attempts, AttemptsMax)
		}
		if h.Priority > PriorityMax+1 {
			return malformed("a priority of %d; 0 to %d are allowed", h.Priority-1, PriorityMax)
		}
		if h.Time > DeadlineMaxMS || h.Value > DeadlineMaxMS {
			return malformed("a time of over a day")
		}
		kept := h.Flags&(Durable|Keyed|Hedge) != 0
		if h.Conversation == 0 && h.Flags&Open != 0 || h.Conversation != 0 && kept ||
			kept && h.Flags&(Stream|More) != 0 {
			return malformed("flags that do not go together, or with the conversation")
		}
		return CheckName(h.Name)
	case Heartbeat:
		if h.Time > HeartbeatMaxMS {
			return malformed("an interval of %d ms", h.Time)
		}
	case End, Accepted, Grant:
		if h.Conversation == 0 {
			return malformed("no conversation, job or grant")
		}
	}
	return nil
}

// visible says whether text has no control characters.
func visible(text string, tab bool) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < 0x20 && !(tab && text[i] == '\t') || text[i] == 0x7f {
			return false
		}
	}
	return true
}

// CheckName refuses what is no name of a service.
func CheckName(name string) error {
	if name == "" || len(name) > NameMax {
		return malformed("a service name of %d bytes; 1 to %d are allowed", len(name), NameMax)
	}
	if !visible(name, false) {
		return malformed("a service name with control characters")
	}
	return nil
}

// HeadersSize is how many bytes headers take in a head.
func HeadersSize(headers []Header) int {
	size := 0
	for _, header := range headers {
		size += 3 + len(header.Key) + len(header.Value)
	}
	return size
}

// CheckHeaders refuses what cannot travel in a head.
func CheckHeaders(headers []Header) error {
	if len(headers) > 64 {
		return malformed("%d headers; 64 are allowed", len(headers))
	}
	for _, header := range headers {
		if err := checkHeader(header); err != nil {
			return err
		}
	}
	if size := HeadersSize(headers); size > HeadersMax {
		return malformed("headers of %d bytes; %d are allowed", size, HeadersMax)
	}
	return nil
}

func checkHeader(header Header) error {
	if header.Key == "" || len(header.Key) > 63 {
		return malformed("a header's key of %d bytes; 1 to 63 are allowed", len(header.Key))
	}
	for i := 0; i < len(header.Key); i++ {
		c := header.Key[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return malformed("the header %q: a key has a-z 0-9 - _ . only", header.Key)
		}
	}
	if len(header.Value) > 4096 {
		return malformed("the header %q: a value of %d bytes; 4096 are allowed", header.Key, len(header.Value))
	}
	if !visible(header.Value, false) {
		return malformed("the header %q: its value has control characters", header.Key)
	}
	return nil
}

// Append appends the head to to. The head must be one that Decode accepts; the parties check what users give them.
func (h *Head) Append(to []byte) []byte {
	start := len(to)
	to = append(to, 'R', 'P', Version, byte(h.Command), 0, 0)
	to = binary.BigEndian.AppendUint16(to, h.Flags)
	to = binary.BigEndian.AppendUint64(to, h.ID)
	to = binary.BigEndian.AppendUint64(to, h.Conversation)
	to = binary.BigEndian.AppendUint32(to, h.Time)
	to = binary.BigEndian.AppendUint32(to, h.Value)
	to = append(to, byte(h.Status), h.Attempt, h.Attempts, h.Priority, byte(len(h.Name)), byte(len(h.Key)))
	to = binary.BigEndian.AppendUint16(to, uint16(len(h.Text)))
	to = append(to, 0, 0, 0, 0)
	to = binary.BigEndian.AppendUint32(to, h.Code)
	to = append(to, h.Name...)
	to = append(to, h.Key...)
	to = append(to, h.Text...)
	headers := len(to)
	for _, header := range h.Headers {
		to = append(to, byte(len(header.Key)))
		to = append(to, header.Key...)
		to = binary.BigEndian.AppendUint16(to, uint16(len(header.Value)))
		to = append(to, header.Value...)
	}
	binary.BigEndian.PutUint16(to[start+4:], uint16(len(to)-start))
	binary.BigEndian.PutUint16(to[start+40:], uint16(len(to)-headers))
	return to
}

// Decode decodes frame 0 of a message. rest is the first body frame if the flag Inline is set, and otherwise nil. It
// shares the memory of frame.
func Decode(frame []byte) (head Head, rest []byte, err error) {
	if len(frame) < 4 || frame[0] != 'R' || frame[1] != 'P' {
		return head, nil, malformed("no signature of Riposte")
	}
	if frame[2] != Version {
		return head, nil, malformed("version %d", frame[2])
	}
	if len(frame) < Fixed {
		return head, nil, malformed("a head of %d bytes", len(frame))
	}
	size := int(binary.BigEndian.Uint16(frame[4:]))
	nameSize, keySize := int(frame[36]), int(frame[37])
	textSize, headersSize := int(binary.BigEndian.Uint16(frame[38:])), int(binary.BigEndian.Uint16(frame[40:]))
	if size != Fixed+nameSize+keySize+textSize+headersSize || size > len(frame) || nameSize > NameMax ||
		keySize > KeyMax || textSize > TextMax || headersSize > HeadersMax {
		return head, nil, malformed("sizes that do not add up")
	}
	if frame[42] != 0 || frame[43] != 0 {
		return head, nil, malformed("reserved bytes that are not 0")
	}
	head = Head{
		Command:      Command(frame[3]),
		Flags:        binary.BigEndian.Uint16(frame[6:]),
		ID:           binary.BigEndian.Uint64(frame[8:]),
		Conversation: binary.BigEndian.Uint64(frame[16:]),
		Time:         binary.BigEndian.Uint32(frame[24:]),
		Value:        binary.BigEndian.Uint32(frame[28:]),
		Status:       Status(frame[32]),
		Attempt:      frame[33],
		Attempts:     frame[34],
		Priority:     frame[35],
		Code:         binary.BigEndian.Uint32(frame[44:]),
	}
	at := Fixed
	take := func(size int) string {
		at += size
		return string(frame[at-size : at])
	}
	head.Name, head.Key, head.Text = take(nameSize), take(keySize), take(textSize)
	if !visible(head.Key, true) || !visible(head.Text, true) {
		return head, nil, malformed("control characters")
	}
	if head.Headers, err = decodeHeaders(frame[at:size]); err != nil {
		return head, nil, err
	}
	if err = head.check(); err != nil {
		return head, nil, err
	}
	if head.Flags&Inline != 0 {
		return head, frame[size:], nil
	}
	if size != len(frame) {
		return head, nil, malformed("bytes behind the head")
	}
	return head, nil, nil
}

func decodeHeaders(block []byte) ([]Header, error) {
	var headers []Header
	for len(block) > 0 {
		keySize := int(block[0])
		if len(block) < 1+keySize+2 {
			return nil, malformed("headers that do not add up")
		}
		valueSize := int(binary.BigEndian.Uint16(block[1+keySize:]))
		end := 1 + keySize + 2 + valueSize
		if len(block) < end {
			return nil, malformed("headers that do not add up")
		}
		header := Header{Key: string(block[1 : 1+keySize]), Value: string(block[end-valueSize : end])}
		if err := checkHeader(header); err != nil {
			return nil, err
		}
		if headers = append(headers, header); len(headers) > 64 {
			return nil, malformed("over 64 headers")
		}
		block = block[end:]
	}
	return headers, nil
}
