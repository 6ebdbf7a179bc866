// SPDX-License-Identifier: MPL-2.0

// Package zmtp speaks ZMTP 3 (ZeroMQ RFC 23) as the connecting DEALER, with the mechanisms NULL and CURVE
// (RFC 25 and 26), and no more than that: one connection, no reconnecting, no queue.
//
// It reads and writes streams, and has no clock and no goroutine. docs/adr says why it is here, and no module is used.
package zmtp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	flagMore    = 0x01
	flagLong    = 0x02
	flagCommand = 0x04

	greetingSize = 64
	// FramesMax is the most frames of a message, as in docs/PROTOCOL.md, section 2.
	FramesMax = 64
	// MessageMax is the most bytes of a message: no broker can be set to pass on more.
	MessageMax = 1<<30 + 1<<20
	// commandMax is the most bytes of a command: larger ones are of no mechanism that is spoken here.
	commandMax = 64 << 10
	// trustMax is how many bytes of a frame are allocated before they have come.
	trustMax = 1 << 20
)

// The reasons why a handshake fails that have to do with keys. They are clauses, as the C library words them.
var (
	ErrKeyDenied   = errors.New("it does not accept this key")
	ErrKeyMissing  = errors.New("it wants a key, and none is given")
	ErrKeyNeedless = errors.New("it has no security, and a broker with a key is wanted")
	ErrKeyWrong    = errors.New("it ended the handshake: its key is not the one that is given here")
)

// ErrProtocol is matched by every error about bytes that are not ZMTP.
var ErrProtocol = errors.New("what listens there does not speak ZMTP 3 as a broker does")

func broken(format string, args ...interface{}) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// Conn is one connection whose handshake is done. One goroutine may read while another writes.
type Conn struct {
	r *bufio.Reader
	w *bufio.Writer
	// nil with NULL
	curve *curve
}

// Handshake says who this side is, and learns that the other is a ROUTER. keys is nil for NULL. random is a source of
// randomness that cannot be foretold. An error that comes from rw is returned as it is.
func Handshake(rw io.ReadWriter, keys *Keys, random io.Reader) (*Conn, error) {
	c := &Conn{r: bufio.NewReaderSize(rw, 64<<10), w: bufio.NewWriterSize(rw, 64<<10)}
	mechanism := "NULL"
	if keys != nil {
		mechanism = "CURVE"
	}
	if err := c.greet(mechanism); err != nil {
		return nil, err
	}
	var properties []byte
	var err error
	if keys == nil {
		properties, err = c.null()
	} else {
		c.curve, properties, err = c.handshakeCurve(keys, random)
	}
	if err != nil {
		return nil, err
	}
	return c, checkProperties(properties)
}

func (c *Conn) greet(mechanism string) error {
	var ours, theirs [greetingSize]byte
	ours[0], ours[9] = 0xff, 0x7f
	ours[10] = 3
	copy(ours[12:32], mechanism)
	if _, err := c.w.Write(ours[:]); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	// The signature and the version come first from peers of every version; one that is older goes no further.
	if _, err := io.ReadFull(c.r, theirs[:11]); err != nil {
		return err
	}
	if theirs[0] != 0xff || theirs[9]&1 != 1 {
		return broken("no greeting came")
	}
	if theirs[10] < 3 {
		return broken("ZMTP %d came", theirs[10])
	}
	if _, err := io.ReadFull(c.r, theirs[11:]); err != nil {
		return err
	}
	switch theirMechanism := string(bytes.TrimRight(theirs[12:32], "\x00")); {
	case theirMechanism == mechanism:
		return nil
	case theirMechanism == "CURVE":
		return ErrKeyMissing
	case theirMechanism == "NULL":
		return ErrKeyNeedless
	default:
		return broken("it wants the mechanism %q", theirMechanism)
	}
}

// metadata is what this side says of itself. It states no routing id.
func metadata() []byte {
	return appendProperty(nil, "Socket-Type", "DEALER")
}

func appendProperty(to []byte, name, value string) []byte {
	to = append(to, byte(len(name)))
	to = append(to, name...)
	to = binary.BigEndian.AppendUint32(to, uint32(len(value)))
	return append(to, value...)
}

func checkProperties(properties []byte) error {
	for len(properties) > 0 {
		size := int(properties[0])
		if len(properties) < 1+size+4 {
			return broken("properties that do not add up")
		}
		name := string(properties[1 : 1+size])
		properties = properties[1+size:]
		value := uint64(binary.BigEndian.Uint32(properties))
		properties = properties[4:]
		if uint64(len(properties)) < value {
			return broken("properties that do not add up")
		}
		if equalFold(name, "Socket-Type") && string(properties[:value]) != "ROUTER" {
			return broken("its socket is a %.20q", properties[:value])
		}
		properties = properties[value:]
	}
	return nil
}

func equalFold(one, other string) bool {
	return bytes.EqualFold([]byte(one), []byte(other))
}

func (c *Conn) null() ([]byte, error) {
	if err := c.writeCommand("READY", metadata()); err != nil {
		return nil, err
	}
	name, body, err := c.readCommand()
	if err != nil {
		return nil, err
	}
	switch name {
	case "READY":
		return body, nil
	case "ERROR":
		return nil, broken("it ended the handshake: %.80q", reason(body))
	}
	return nil, broken("%.20q came in the place of READY", name)
}

// reason is the text of an ERROR command.
func reason(body []byte) []byte {
	if len(body) > 0 && int(body[0]) <= len(body)-1 {
		return body[1 : 1+int(body[0])]
	}
	return nil
}

func (c *Conn) writeCommand(name string, body []byte) error {
	payload := append([]byte{byte(len(name))}, name...)
	payload = append(payload, body...)
	if err := c.writeFrame(flagCommand, payload); err != nil {
		return err
	}
	return c.w.Flush()
}

// readCommand reads one command of a handshake.
func (c *Conn) readCommand() (name string, body []byte, err error) {
	flags, size, err := c.readFrameHead()
	if err != nil {
		return "", nil, err
	}
	if flags&flagCommand == 0 || size > commandMax {
		return "", nil, broken("a message came in the place of a command")
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return "", nil, err
	}
	return splitCommand(payload)
}

func splitCommand(payload []byte) (name string, body []byte, err error) {
	if len(payload) == 0 || int(payload[0]) > len(payload)-1 {
		return "", nil, broken("a command that does not add up")
	}
	end := 1 + int(payload[0])
	return string(payload[1:end]), payload[end:], nil
}

func (c *Conn) writeFrame(flags byte, payload []byte) error {
	var head [9]byte
	used := 2
	if len(payload) > 255 {
		head[0] = flags | flagLong
		binary.BigEndian.PutUint64(head[1:], uint64(len(payload)))
		used = 9
	} else {
		head[0] = flags
		head[1] = byte(len(payload))
	}
	if _, err := c.w.Write(head[:used]); err != nil {
		return err
	}
	_, err := c.w.Write(payload)
	return err
}

// Write writes one message, which Flush sends at the latest. A frame is copied only if it is small, or encrypted.
func (c *Conn) Write(frames ...[]byte) error {
	for index, frame := range frames {
		flags := byte(0)
		if index < len(frames)-1 {
			flags = flagMore
		}
		if c.curve != nil {
			frame = c.curve.seal(flags, frame)
			flags = 0
		}
		if err := c.writeFrame(flags, frame); err != nil {
			return err
		}
	}
	return nil
}

// Flush sends what was written.
func (c *Conn) Flush() error { return c.w.Flush() }

func (c *Conn) readFrameHead() (flags byte, size uint64, err error) {
	var head [9]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		return 0, 0, err
	}
	flags, size = head[0], uint64(head[1])
	if flags&flagLong != 0 {
		if _, err := io.ReadFull(c.r, head[2:9]); err != nil {
			return 0, 0, err
		}
		size = binary.BigEndian.Uint64(head[1:])
	}
	if flags&^(flagMore|flagLong|flagCommand) != 0 {
		return 0, 0, broken("a frame with unknown flags")
	}
	return flags, size, nil
}

// readBody reads a frame, and allocates no more than has come, and trustMax.
func (c *Conn) readBody(size uint64) ([]byte, error) {
	if size <= trustMax {
		frame := make([]byte, size)
		_, err := io.ReadFull(c.r, frame)
		return frame, err
	}
	var buffer bytes.Buffer
	buffer.Grow(trustMax)
	if _, err := io.CopyN(&buffer, c.r, int64(size)); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// Read reads the next message; commands are skipped. The frames belong to the caller.
func (c *Conn) Read() ([][]byte, error) {
	var frames [][]byte
	left := uint64(MessageMax)
	for {
		flags, size, err := c.readFrameHead()
		if err != nil {
			return nil, err
		}
		if size > left {
			return nil, broken("a message of over %d bytes", MessageMax)
		}
		left -= size
		frame, err := c.readBody(size)
		if err != nil {
			return nil, err
		}
		if c.curve != nil {
			if flags, frame, err = c.curve.open(frame); err != nil {
				return nil, err
			}
		}
		if flags&flagCommand != 0 {
			// PING is not answered: this side states ZMTP 3.0, which does not have it.
			if len(frames) > 0 {
				return nil, broken("a command inside a message")
			}
			continue
		}
		if len(frames) == FramesMax {
			return nil, broken("a message of over %d frames", FramesMax)
		}
		frames = append(frames, frame)
		if flags&flagMore == 0 {
			return frames, nil
		}
	}
}
