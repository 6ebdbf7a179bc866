// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
	"github.com/riposte-broker/riposte/go/internal/zmtp"
)

// lingerLimit is how long what was sent before the end of a connection may take to go out.
const lingerLimit = time.Second

// epoch is where this process counts time from; time.Since reads the clock that never goes back.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// connOwner hears what happens to a connection. Its methods are called by the connection's own goroutines, each event in
// turn, and nothing behind connFailed.
type connOwner interface {
	connFound(c *conn, endpoints []string)
	connConnected(c *conn)
	// frames[0] may be a bundle.
	connReceived(c *conn, frames [][]byte)
	// denied: the broker does not accept this side's key.
	connFailed(c *conn, denied bool, reason string)
}

// conn is one connection to a broker, or one look-up of a name. It is used once.
type conn struct {
	owner connOwner
	ctx   context.Context
	end   context.CancelFunc

	mu      sync.Mutex
	socket  net.Conn
	up      bool       // the handshake is done
	out     [][][]byte // messages, each of one frame or more
	bundles bool
	closing bool // nothing more is taken
	wake    chan struct{}
}

func newConn(owner connOwner) *conn {
	c := &conn{owner: owner, wake: make(chan struct{}, 1)}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// openConn begins to connect, or to look the name of the endpoint up. Its owner hears what became of it.
func openConn(owner connOwner, endpoint string, lookup bool, security *zmtp.Keys, made bool) *conn {
	c := newConn(owner)
	if lookup {
		go c.lookUp(endpoint, false)
	} else {
		go c.run(endpoint, security, made)
	}
	return c
}

// lookUpRecords begins to look up SRV records, but not their hosts. Its owner hears of tcp://HOST:PORT for each.
func lookUpRecords(owner connOwner, endpoint string) *conn {
	c := newConn(owner)
	go c.lookUp(endpoint, true)
	return c
}

// hostsOf returns HOST:PORT of each record that names a host and a port.
func hostsOf(records []*net.SRV) []string {
	var hosts []string
	for _, record := range records {
		if record.Target == "." || record.Port == 0 {
			continue // RFC 2782: there is no such broker
		}
		hosts = append(hosts, net.JoinHostPort(strings.TrimSuffix(record.Target, "."), fmt.Sprint(record.Port)))
	}
	return hosts
}

func (c *conn) lookUp(endpoint string, records bool) {
	hosts := []string{strings.TrimPrefix(endpoint, "tcp://")}
	if strings.HasPrefix(endpoint, core.SRV) {
		// In the order in which they are to be tried, by priority and weight. Of an error there may be records all the same.
		_, records, _ := net.DefaultResolver.LookupSRV(c.ctx, "", "", strings.TrimPrefix(endpoint, core.SRV))
		hosts = hostsOf(records)
	}
	var found []string
	for _, hostPort := range hosts {
		if records {
			found = append(found, "tcp://"+hostPort)
			continue
		}
		host, port, _ := net.SplitHostPort(hostPort)
		addresses, _ := net.DefaultResolver.LookupHost(c.ctx, host)
		for _, address := range addresses {
			found = append(found, "tcp://"+net.JoinHostPort(address, port))
		}
	}
	if len(found) == 0 {
		c.owner.connFailed(c, false, "does not resolve")
		return
	}
	c.owner.connFound(c, found)
}

func dial(ctx context.Context, endpoint string) (net.Conn, error) {
	var dialer net.Dialer
	if strings.HasPrefix(endpoint, "ipc://") {
		return dialer.DialContext(ctx, "unix", strings.TrimPrefix(endpoint, "ipc://"))
	}
	return dialer.DialContext(ctx, "tcp", strings.TrimPrefix(endpoint, "tcp://"))
}

func (c *conn) run(endpoint string, security *zmtp.Keys, made bool) {
	defer c.end()
	socket, err := dial(c.ctx, endpoint)
	if err != nil {
		c.owner.connFailed(c, false, whyUnreached(err))
		return
	}
	if !c.adopt(socket) {
		return
	}
	stream, err := zmtp.Handshake(socket, security, rand.Reader)
	if err != nil {
		socket.Close()
		reason := short(err)
		if made && errors.Is(err, zmtp.ErrKeyDenied) {
			reason = reasonKeyMade
		}
		c.owner.connFailed(c, isOfKeys(err), reason)
		return
	}
	c.mu.Lock()
	c.up = true
	c.mu.Unlock()
	go c.write(stream)
	c.owner.connConnected(c)
	for {
		frames, err := stream.Read()
		if err != nil {
			c.owner.connFailed(c, false, short(err))
			c.close()
			return
		}
		c.owner.connReceived(c, frames)
	}
}

func whyUnreached(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return reasonDescriptors
	case errors.Is(err, syscall.EACCES):
		return reasonForbidden
	}
	return reasonUnreached
}

// adopt keeps the socket, so that close can end what waits for it. False: the connection was closed meanwhile.
func (c *conn) adopt(socket net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		socket.Close()
		return false
	}
	c.socket = socket
	return true
}

func isOfKeys(err error) bool {
	return errors.Is(err, zmtp.ErrKeyDenied) || errors.Is(err, zmtp.ErrKeyMissing) ||
		errors.Is(err, zmtp.ErrKeyNeedless) || errors.Is(err, zmtp.ErrKeyWrong)
}

// short is the cause of an error of the network, without the addresses, which people know.
func short(err error) string {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return "it closed the connection"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// send queues a message. It never blocks: what may be open at once bounds what is queued.
func (c *conn) send(frames ...[]byte) {
	c.mu.Lock()
	if !c.closing {
		c.out = append(c.out, frames)
	}
	c.mu.Unlock()
	c.kick()
}

func (c *conn) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// allowBundles lets messages travel in bundles from now on.
func (c *conn) allowBundles() {
	c.mu.Lock()
	c.bundles = true
	c.mu.Unlock()
}

// close ends the connection when what was sent is out, or after lingerLimit. It does not block.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.closing = true
	c.end()
	switch {
	case c.socket == nil:
	case c.up:
		_ = c.socket.SetDeadline(time.Now().Add(lingerLimit))
	default:
		c.socket.Close()
	}
	c.kick()
}

// take returns what is queued; done says that nothing follows.
func (c *conn) take() (messages [][][]byte, bundles, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, c.out = c.out, nil
	return messages, c.bundles, c.closing
}

// write sends what is queued: all that has gathered at once. It ends when close was called and all is out.
func (c *conn) write(stream *zmtp.Conn) {
	defer c.socket.Close()
	for {
		messages, bundles, done := c.take()
		if err := writeAll(stream, messages, bundles); err != nil || done {
			return // run learns of an error by reading
		}
		if len(messages) == 0 {
			<-c.wake
		}
	}
}

func writeAll(stream *zmtp.Conn, messages [][][]byte, bundles bool) error {
	if len(messages) == 0 {
		return nil
	}
	if bundles {
		if err := wire.Pack(messages, stream.Write); err != nil {
			return err
		}
	} else {
		for _, message := range messages {
			if err := stream.Write(message...); err != nil {
				return err
			}
		}
	}
	return stream.Flush()
}

// messageFrames makes the frames of a message: a small body goes behind the head, a large one is not copied.
func messageFrames(head *wire.Head, body []byte) [][]byte {
	if head.Command != wire.Request && head.Command != wire.Reply && head.Command != wire.Part {
		return [][]byte{head.Append(nil)}
	}
	if len(body) <= wire.InlineMax {
		head.Flags |= wire.Inline
		frame := make([]byte, 0, wire.Fixed+len(head.Name)+len(head.Text)+len(body))
		return [][]byte{append(head.Append(frame), body...)}
	}
	return [][]byte{head.Append(nil), body}
}

// bodyOf joins the body frames of a message. It shares no memory with a bundle.
func bodyOf(rest []byte, further [][]byte, bundled bool) []byte {
	if len(further) == 0 && !bundled {
		return rest
	}
	if len(further) == 1 && len(rest) == 0 {
		return further[0]
	}
	body := append([]byte(nil), rest...)
	for _, frame := range further {
		body = append(body, frame...)
	}
	return body
}
