// SPDX-License-Identifier: MPL-2.0

package zmtp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// peer is the other end of a connection, written from the RFCs with none of this package's code.
type peer struct {
	t *testing.T
	net.Conn
	public, secret *[32]byte
	shared         [32]byte
	sent           uint64
	client         [32]byte // the long-term key that came
}

// pair returns both ends. The test ends them.
func pair(t *testing.T) (net.Conn, *peer) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	_ = ours.SetDeadline(deadline)
	_ = theirs.SetDeadline(deadline)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	public, secret, err := box.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return ours, &peer{t: t, Conn: theirs, public: public, secret: secret}
}

func (p *peer) read(size int) []byte {
	bytes := make([]byte, size)
	if _, err := io.ReadFull(p.Conn, bytes); err != nil {
		p.t.Log("the peer reads:", err)
	}
	return bytes
}

func (p *peer) write(parts ...interface{}) {
	var all []byte
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part...)
		case []byte:
			all = append(all, part...)
		case byte:
			all = append(all, part)
		}
	}
	if _, err := p.Conn.Write(all); err != nil {
		p.t.Log("the peer writes:", err)
	}
}

func greetingOf(version byte, mechanism string) []byte {
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10] = 0xff, 0x7f, version
	copy(greeting[12:], mechanism)
	return greeting
}

func (p *peer) greet(mechanism string) []byte {
	greeting := p.read(64)
	p.write(greetingOf(3, mechanism))
	return greeting
}

// command reads a short command, and returns what follows its name.
func (p *peer) command(name string) []byte {
	head := p.read(2)
	body := p.read(int(head[1]))
	if head[0] != 4 || int(body[0]) != len(name) || string(body[1:1+len(name)]) != name {
		p.t.Errorf("%q came in the place of %s", body, name)
		return nil
	}
	return body[1+len(name):]
}

const router = "\x0bSocket-Type\x00\x00\x00\x06ROUTER"

func (p *peer) null() {
	p.greet("NULL")
	p.command("READY")
	p.write("\x04\x1c\x05READY", router)
}

// connect does the handshake from this side.
func connect(conn net.Conn, keys *Keys) (*Conn, error) { return Handshake(conn, keys, rand.Reader) }

func TestTheGreetingAndREADYAreThoseOfTheRFC(t *testing.T) {
	ours, peer := pair(t)
	said := make(chan []byte, 2)
	go func() {
		said <- peer.greet("NULL")
		said <- peer.command("READY")
		peer.write("\x04\x1c\x05READY", router)
	}()
	if _, err := connect(ours, nil); err != nil {
		t.Fatal(err)
	}
	if greeting := <-said; !bytes.Equal(greeting, greetingOf(3, "NULL")) {
		t.Errorf("the greeting is %s", hex.EncodeToString(greeting))
	}
	if ready := <-said; string(ready) != "\x0bSocket-Type\x00\x00\x00\x06DEALER" {
		t.Errorf("READY is %q", ready)
	}
}

func TestMessagesOfOneAndOfSeveralFramesPassBothWays(t *testing.T) {
	ours, peer := pair(t)
	go peer.null()
	conn, err := connect(ours, nil)
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("x"), 300)
	go peer.write("\x00\x05hello", "\x05\x05\x04PING", "\x01\x01a\x01\x00\x02\x00\x00\x00\x00\x00\x00\x01\x2c", long)
	for _, want := range [][][]byte{{[]byte("hello")}, {[]byte("a"), {}, long}} {
		if got, err := conn.Read(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %q, %v", got, err)
		}
	}
	go func() {
		_ = conn.Write([]byte("a"), nil, long)
		_ = conn.Flush()
	}()
	want := append([]byte("\x01\x01a\x01\x00\x02\x00\x00\x00\x00\x00\x00\x01\x2c"), long...)
	if got := peer.read(len(want)); !bytes.Equal(got, want) {
		t.Errorf("wrote %q", got)
	}
}

func TestAPeerThatIsNoBrokerIsRefusedWithAReason(t *testing.T) {
	null := string(greetingOf(3, "NULL"))
	for said, want := range map[string]error{
		"HTTP/1.1 400 Bad Request\r\n\r\n":                             ErrProtocol,
		string(greetingOf(1, "")):                                      ErrProtocol,
		string(greetingOf(3, "CURVE")):                                 ErrKeyMissing,
		string(greetingOf(3, "GSSAPI")):                                ErrProtocol,
		null + "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PULL":  ErrProtocol,
		null + "\x04\x1b\x05READY\x0bSocket-Type\x00\x00\x01\x06ROUTE": ErrProtocol,
		null + "\x04\x07\x05ERROR\x00":                                 ErrProtocol,
		null + "\x00\x01x":                                             ErrProtocol,
		null + "\x04\x02\x05R":                                         ErrProtocol,
		null + "\x06\x00\x00\x00\x00\x7f\x00\x00\x00":                  ErrProtocol,
		null: io.EOF,
	} {
		ours, peer := pair(t)
		go func(said string) {
			peer.read(64)
			peer.write(said)
			_ = peer.Conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, peer.Conn)
		}(said)
		if _, err := connect(ours, nil); !errors.Is(err, want) {
			t.Errorf("%.90q: %v", said, err)
		}
	}
	ours, peer := pair(t)
	go peer.greet("NULL")
	if _, err := connect(ours, &Keys{}); !errors.Is(err, ErrKeyNeedless) {
		t.Errorf("keys for a broker that has none: %v", err)
	}
}

func TestASizeThatIsALieCostsNoMemory(t *testing.T) {
	for _, said := range []string{"\x02\x40\x00\x00\x00\x00\x00\x00\x00", "\x02\x00\x00\x00\x00\x3f\xff\xff\xff"} {
		ours, peer := pair(t)
		go func() {
			peer.null()
			peer.write(said, "x")
			peer.Close()
		}()
		conn, err := connect(ours, nil)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = conn.Read()
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; err == nil || taken > 8<<20 {
			t.Errorf("%q: %v, and %d bytes", said, err, taken)
		}
	}
}

func TestAMessageOfTooManyFramesAndACommandInsideOneAreRefused(t *testing.T) {
	for _, said := range []string{string(bytes.Repeat([]byte("\x01\x00"), FramesMax)) + "\x00\x00", "\x01\x00\x04\x05\x04PONG", "\x08\x00"} {
		ours, peer := pair(t)
		go func() { peer.null(); peer.write(said) }()
		conn, err := connect(ours, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.20q: %v", said, err)
		}
	}
}

func nonce(parts ...interface{}) *[24]byte {
	var all [24]byte
	at := 0
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			at += copy(all[at:], part)
		case []byte:
			at += copy(all[at:], part)
		}
	}
	return &all
}

// curve is the server's side of RFC 26. ready is the command that it ends with, "" for READY.
func (p *peer) curve(refusal string) {
	p.greet("CURVE")
	hello := p.command("HELLO")
	if len(hello) != 194 || !bytes.Equal(hello[:74], append([]byte{1}, make([]byte, 73)...)) {
		p.t.Errorf("HELLO has %d bytes", len(hello))
		return
	}
	var short [32]byte // C'
	copy(short[:], hello[74:106])
	zeros, ok := box.Open(nil, hello[114:], nonce("CurveZMQHELLO---", hello[106:114]), &short, p.secret)
	if !ok || !bytes.Equal(zeros, make([]byte, 64)) {
		p.Close() // as libzmq does
		return
	}
	public, secret, _ := box.GenerateKey(rand.Reader) // S', s'
	tail, cookie := bytes.Repeat([]byte{7}, 16), bytes.Repeat([]byte{9}, 96)
	welcome := box.Seal(nil, append(append([]byte{}, public[:]...), cookie...), nonce("WELCOME-", tail), &short, p.secret)
	p.write("\x04", byte(8+16+len(welcome)), "\x07WELCOME", tail, welcome)
	head := p.read(9)
	size := int(binary.BigEndian.Uint64(head[1:]))
	if head[0] != 6 {
		size = int(head[1])
		p.t.Error("INITIATE is not a long command")
	}
	initiate := p.read(size)
	if string(initiate[:9]) != "\x08INITIATE" || !bytes.Equal(initiate[9:105], cookie) {
		p.t.Error("no INITIATE with the cookie")
	}
	box.Precompute(&p.shared, &short, secret)
	plain, ok := secretbox.Open(nil, initiate[113:], nonce("CurveZMQINITIATE", initiate[105:113]), &p.shared)
	if !ok {
		p.t.Error("INITIATE does not open")
		return
	}
	copy(p.client[:], plain)
	vouch, ok := box.Open(nil, plain[48:128], nonce("VOUCH---", plain[32:48]), &p.client, secret)
	if !ok || !bytes.Equal(vouch, append(append([]byte{}, short[:]...), p.public[:]...)) {
		p.t.Error("the vouch is wrong")
	}
	if string(plain[128:]) != "\x0bSocket-Type\x00\x00\x00\x06DEALER" {
		p.t.Errorf("the metadata is %q", plain[128:])
	}
	if refusal != "" {
		p.write("\x04", byte(7+len(refusal)), "\x05ERROR", byte(len(refusal)), refusal)
		return
	}
	p.sent = 1
	ready := secretbox.Seal(nil, []byte(router), nonce("CurveZMQREADY---", counter(1)), &p.shared)
	p.write("\x04", byte(6+8+len(ready)), "\x05READY", counter(1), ready)
}

func counter(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// sealed is a frame as a server sends it.
func (p *peer) sealed(n uint64, flags byte, frame string) []byte {
	body := secretbox.Seal(nil, append([]byte{flags}, frame...), nonce("CurveZMQMESSAGES", counter(n)), &p.shared)
	return append([]byte{0, byte(16 + len(body))}, append(append([]byte("\x07MESSAGE"), counter(n)...), body...)...)
}

func keysFor(t *testing.T, peer *peer) *Keys {
	public, secret, err := NewPair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Keys{Public: public, Secret: secret, Server: *peer.public}
}

func TestCURVEProvesBothKeysAndEncryptsEveryFrame(t *testing.T) {
	ours, peer := pair(t)
	keys := keysFor(t, peer)
	done := make(chan struct{})
	go func() { peer.curve(""); close(done) }()
	conn, err := connect(ours, keys)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if peer.client != keys.Public {
		t.Error("the broker has not seen our key")
	}
	go peer.write(peer.sealed(2, 1, "secret"), peer.sealed(3, 0, ""), peer.sealed(5, 2, "\x04PING"), peer.sealed(6, 0, "b"))
	for _, want := range [][][]byte{{[]byte("secret"), {}}, {[]byte("b")}} {
		if got, err := conn.Read(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %q, %v", got, err)
		}
	}
	go func() {
		_ = conn.Write([]byte("hello"), []byte("x"))
		_ = conn.Flush()
	}()
	for n, want := range []string{"\x01hello", "\x00x"} {
		head := peer.read(2)
		payload := peer.read(int(head[1]))
		if head[0] != 0 || string(payload[:8]) != "\x07MESSAGE" || !bytes.Equal(payload[8:16], counter(uint64(3+n))) {
			t.Errorf("the frame is %q %q", head, payload)
		}
		plain, ok := secretbox.Open(nil, payload[16:], nonce("CurveZMQMESSAGEC", payload[8:16]), &peer.shared)
		if !ok || string(plain) != want {
			t.Errorf("it says %q", plain)
		}
	}
}

func TestCURVERefusesWhatIsNotTheBrokers(t *testing.T) {
	for name, make := range map[string]func(p *peer) []byte{
		"a frame said again":    func(p *peer) []byte { return append(p.sealed(2, 0, "a"), p.sealed(2, 0, "a")...) },
		"a changed frame":       func(p *peer) []byte { f := p.sealed(2, 0, "a"); f[len(f)-1]++; return f },
		"a frame in the clear":  func(p *peer) []byte { return []byte("\x00\x05hello") },
		"the box of the client": func(p *peer) []byte { f := p.sealed(2, 0, "a"); f[17]++; return f },
	} {
		ours, peer := pair(t)
		go func() {
			peer.curve("")
			peer.write(make(peer))
		}()
		conn, err := connect(ours, keysFor(t, peer))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read()
		if err == nil {
			_, err = conn.Read()
		}
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCURVESaysWhoseKeyIsWrong(t *testing.T) {
	ours, peer := pair(t)
	go peer.curve("400")
	if _, err := connect(ours, keysFor(t, peer)); !errors.Is(err, ErrKeyDenied) {
		t.Errorf("a key that is not authorized: %v", err)
	}
	ours, peer = pair(t)
	go peer.curve("300")
	if _, err := connect(ours, keysFor(t, peer)); !errors.Is(err, ErrProtocol) {
		t.Errorf("a broker in trouble: %v", err)
	}
	ours, peer = pair(t)
	keys := keysFor(t, peer)
	keys.Server[0] ^= 1
	go peer.curve("")
	if _, err := connect(ours, keys); !errors.Is(err, ErrKeyWrong) {
		t.Errorf("another key of the broker: %v", err)
	}
}

func TestAPairOfKeysMustBelongTogether(t *testing.T) {
	public, secret, err := NewPair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys{Public: public, Secret: secret}
	if err := keys.Check(); err != nil {
		t.Error(err)
	}
	keys.Public[3] ^= 1
	if keys.Check() == nil {
		t.Error("another public key was taken")
	}
}
