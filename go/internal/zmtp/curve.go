// SPDX-License-Identifier: MPL-2.0

package zmtp

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// Keys are the long-term keys of a connection with CURVE.
type Keys struct {
	Public, Secret, Server [32]byte
}

// Check is an error if Public does not belong to Secret.
func (k *Keys) Check() error {
	public, err := curve25519.X25519(k.Secret[:], curve25519.Basepoint)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(public, k.Public[:]) != 1 {
		return errors.New("the public key does not belong to the secret key")
	}
	return nil
}

// NewPair makes a pair of keys.
func NewPair(random io.Reader) (public, secret [32]byte, err error) {
	p, s, err := box.GenerateKey(random)
	if err != nil {
		return public, secret, err
	}
	return *p, *s, nil
}

// curve is the state of a connection behind its handshake: the key that both sides have computed, and the counters
// from which nonces are made, so that none is used twice.
type curve struct {
	shared   [32]byte
	sent     uint64
	received uint64
}

const (
	overhead = secretbox.Overhead
	// "\x07MESSAGE" and the counter
	messageHead = 8 + 8
	// the flag of a command inside an encrypted frame; that of a frame with more behind it is flagMore
	sealedCommand = 0x02
)

func shortNonce(prefix string, counter uint64) *[24]byte {
	var nonce [24]byte
	copy(nonce[:16], prefix)
	binary.BigEndian.PutUint64(nonce[16:], counter)
	return &nonce
}

func longNonce(prefix string, tail []byte) *[24]byte {
	var nonce [24]byte
	copy(nonce[:8], prefix)
	copy(nonce[8:], tail)
	return &nonce
}

// handshakeCurve is RFC 26 from the client's side: HELLO, WELCOME, INITIATE, READY.
func (c *Conn) handshakeCurve(keys *Keys, random io.Reader) (*curve, []byte, error) {
	public, secret, err := box.GenerateKey(random) // C', c': of this connection alone
	if err != nil {
		return nil, nil, err
	}

	hello := make([]byte, 74, 194)
	hello[0] = 1 // version 1.0, and padding
	hello = append(hello, public[:]...)
	hello = binary.BigEndian.AppendUint64(hello, 1)
	hello = box.Seal(hello, make([]byte, 64), shortNonce("CurveZMQHELLO---", 1), &keys.Server, secret)
	if err := c.writeCommand("HELLO", hello); err != nil {
		return nil, nil, err
	}

	body, err := c.expect("WELCOME")
	if err != nil {
		return nil, nil, err
	}
	if len(body) != 16+32+96+overhead {
		return nil, nil, broken("a WELCOME that does not add up")
	}
	plain, ok := box.Open(nil, body[16:], longNonce("WELCOME-", body[:16]), &keys.Server, secret)
	if !ok {
		return nil, nil, ErrKeyWrong
	}
	var server [32]byte // S'
	copy(server[:], plain[:32])
	cookie := plain[32:]

	state := &curve{}
	box.Precompute(&state.shared, &server, secret)

	var tail [16]byte
	if _, err := io.ReadFull(random, tail[:]); err != nil {
		return nil, nil, err
	}
	vouch := append(append([]byte{}, public[:]...), keys.Server[:]...)
	initiate := append([]byte{}, keys.Public[:]...)
	initiate = append(initiate, tail[:]...)
	initiate = box.Seal(initiate, vouch, longNonce("VOUCH---", tail[:]), &server, &keys.Secret)
	initiate = append(initiate, metadata()...)
	message := append([]byte{}, cookie...)
	message = binary.BigEndian.AppendUint64(message, 2)
	message = secretbox.Seal(message, initiate, shortNonce("CurveZMQINITIATE", 2), &state.shared)
	if err := c.writeCommand("INITIATE", message); err != nil {
		return nil, nil, err
	}
	state.sent = 2

	body, err = c.expect("READY")
	if err != nil {
		return nil, nil, err
	}
	if len(body) < 8 {
		return nil, nil, broken("a READY that does not add up")
	}
	state.received = binary.BigEndian.Uint64(body)
	properties, ok := secretbox.Open(nil, body[8:], shortNonce("CurveZMQREADY---", state.received), &state.shared)
	if !ok {
		return nil, nil, broken("a READY of somebody else")
	}
	return state, properties, nil
}

// expect reads a command of the handshake. A broker that does not know this side's key says so by ERROR with a status
// of ZAP, 400 or 300; one whose key is another only closes the connection, after HELLO, which it cannot read.
func (c *Conn) expect(want string) ([]byte, error) {
	name, body, err := c.readCommand()
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if want == "WELCOME" {
			return nil, fmt.Errorf("%w (%s)", ErrKeyWrong, "it closed the connection")
		}
		return nil, err
	case err != nil:
		return nil, err
	case name == want:
		return body, nil
	case name == "ERROR" && strings.HasPrefix(string(reason(body)), "400"):
		return nil, ErrKeyDenied
	case name == "ERROR":
		return nil, fmt.Errorf("%w: it ended the handshake: %.80q", ErrProtocol, reason(body))
	}
	return nil, broken("%.20q came in the place of %s", name, want)
}

// seal makes the payload of a frame.
func (s *curve) seal(flags byte, frame []byte) []byte {
	s.sent++
	plain := make([]byte, 1+len(frame))
	plain[0] = flags
	copy(plain[1:], frame)
	sealed := make([]byte, 0, messageHead+overhead+len(plain))
	sealed = append(sealed, "\x07MESSAGE"...)
	sealed = binary.BigEndian.AppendUint64(sealed, s.sent)
	return secretbox.Seal(sealed, plain, shortNonce("CurveZMQMESSAGEC", s.sent), &s.shared)
}

// open takes the payload of a frame apart. A counter that does not grow is a message said again by somebody else.
func (s *curve) open(payload []byte) (flags byte, frame []byte, err error) {
	if len(payload) < messageHead+overhead+1 || string(payload[:8]) != "\x07MESSAGE" {
		return 0, nil, broken("a frame that is not encrypted")
	}
	counter := binary.BigEndian.Uint64(payload[8:])
	if counter <= s.received {
		return 0, nil, broken("an encrypted frame came twice")
	}
	s.received = counter
	plain, ok := secretbox.Open(nil, payload[messageHead:], shortNonce("CurveZMQMESSAGES", counter), &s.shared)
	if !ok {
		return 0, nil, broken("an encrypted frame of somebody else")
	}
	flags = plain[0] & flagMore
	if plain[0]&sealedCommand != 0 {
		flags |= flagCommand
	}
	return flags, plain[1:], nil
}
