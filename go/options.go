// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"fmt"
	"math"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/riposte-broker/riposte/go/internal/core"
	"github.com/riposte-broker/riposte/go/internal/wire"
	"github.com/riposte-broker/riposte/go/internal/zmtp"
)

type config struct {
	endpoints []string
	name      string
	heartbeat time.Duration
	keys      keys

	timeout     time.Duration
	attempts    uint8
	maxOpen     int
	retryBudget int64
	spread      bool

	slots           uint32
	drain           time.Duration
	streams         bool
	log             func(string)
	conversationEnd func(uint64)
}

// ClientOption is an option of Dial and NewClient.
type ClientOption interface{ client(*config) error }

// WorkerOption is an option of NewWorker.
type WorkerOption interface{ worker(*config) error }

// Option is one of both.
type Option interface {
	ClientOption
	WorkerOption
}

type (
	option       func(*config) error
	clientOption func(*config) error
	workerOption func(*config) error
)

func (o option) client(c *config) error       { return o(c) }
func (o option) worker(c *config) error       { return o(c) }
func (o clientOption) client(c *config) error { return o(c) }
func (o workerOption) worker(c *config) error { return o(c) }

func newConfig(endpoints string, heartbeat time.Duration) (*config, error) {
	c := &config{heartbeat: heartbeat, timeout: 5 * time.Second, attempts: 1, maxOpen: 10000, retryBudget: 20,
		slots: 1, drain: 30 * time.Second, name: defaultName()}
	for _, endpoint := range strings.Split(endpoints, ",") {
		if err := checkEndpoint(endpoint); err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, endpoint)
	}
	return c, nil
}

func defaultName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "go"
	}
	suffix := fmt.Sprintf("-%d", os.Getpid())
	if most := wire.PeerNameMax - len(suffix); len(host) > most {
		host = host[:most]
	}
	return host + suffix
}

var srvName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func checkEndpoint(endpoint string) error {
	switch {
	case strings.HasPrefix(endpoint, "ipc://") && len(endpoint) > len("ipc://"):
		return nil
	case strings.HasPrefix(endpoint, core.SRV):
		if !srvName.MatchString(strings.TrimPrefix(endpoint, core.SRV)) {
			return usage("the endpoint %q: no SRV record has that name; as in srv:_riposte._tcp.example.org", endpoint)
		}
		return nil
	case strings.HasPrefix(endpoint, "tcp://"):
		host, port, err := net.SplitHostPort(strings.TrimPrefix(endpoint, "tcp://"))
		if err != nil || host == "" || host == "*" || port == "" {
			return usage("the endpoint %q: it has no host or no port; as in tcp://127.0.0.1:5555", endpoint)
		}
		if _, err := net.LookupPort("tcp", port); err != nil {
			return usage("the endpoint %q: its port is no number from 1 to 65535", endpoint)
		}
		return nil
	}
	return usage("the endpoint %q: it begins with neither tcp:// nor ipc://", endpoint)
}

func inRange(what string, value, least, most time.Duration) error {
	if value < least || value > most {
		return usage("%s of %v; %v to %v are allowed", what, value, least, most)
	}
	return nil
}

// Name is shown to people, in logs and lists: up to 63 bytes. The default is HOST-PID.
func Name(name string) Option {
	return option(func(c *config) error {
		if len(name) > wire.PeerNameMax || strings.IndexFunc(name, isControl) >= 0 {
			return usage("the name %q: up to 63 bytes without control characters are allowed", name)
		}
		c.name = name
		return nil
	})
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// Heartbeat is the interval of signs of life that is proposed to the broker: 50 ms to a minute. The default is 2 s for
// a client and 1 s for a worker. Either side is lost after three intervals of silence.
func Heartbeat(interval time.Duration) Option {
	return option(func(c *config) error {
		c.heartbeat = interval
		return inRange("a heartbeat interval", interval, 50*time.Millisecond, time.Minute)
	})
}

// KeyFile takes this side's own pair of keys from a certificate file with a secret key, which "riposte keys new NAME"
// makes as NAME.key_secret. Others must not be able to read the file. It wants ServerKey, too. Keys are used over
// tcp:// only; a connection over ipc:// is protected by the rights of its path.
func KeyFile(path string) Option {
	return option(func(c *config) error { return c.keys.readOwn(path) })
}

// ServerKey takes the public key of the broker, or of all brokers of a list: 40 characters of Z85, or the path of a
// certificate file. Without KeyFile a pair is made, which the broker accepts only if it accepts every key.
func ServerKey(keyOrPath string) Option {
	return option(func(c *config) error { return c.keys.readServer(keyOrPath) })
}

// Keys takes all three keys from memory, each as 40 characters of Z85.
func Keys(public, secret, server string) Option {
	return option(func(c *config) error { return c.keys.take(public, secret, server) })
}

// dayMost is the longest that a request may take.
const dayMost = 24 * time.Hour

// DefaultTimeout is the deadline of a request whose context has none, 1 ms to a day. It is 5 s if not set.
func DefaultTimeout(timeout time.Duration) ClientOption {
	return clientOption(func(c *config) error {
		c.timeout = timeout
		return inRange("a timeout", timeout, time.Millisecond, dayMost)
	})
}

// DefaultAttempts is the number of attempts of a request that states none: 1 to 10; 1 if not set. See WithAttempts.
func DefaultAttempts(attempts int) ClientOption {
	return clientOption(func(c *config) error {
		c.attempts = uint8(attempts)
		return checkAttempts(attempts)
	})
}

func checkAttempts(attempts int) error {
	if attempts < 1 || attempts > wire.AttemptsMax {
		return usage("%d attempts; 1 to 10 are allowed", attempts)
	}
	return nil
}

// MaxOpen is how many requests may be open at once, 1 to 1,000,000; one more draws ErrFull. It is 10,000 if not set.
func MaxOpen(requests int) ClientOption {
	return clientOption(func(c *config) error {
		c.maxOpen = requests
		if requests < 1 || requests > 1000000 {
			return usage("%d open requests; 1 to 1,000,000 are allowed", requests)
		}
		return nil
	})
}

// RetryBudget is how many requests per 100 may be sent again, 0 to 1,000, so that a crowd of failed requests does not
// double the load of a broker in trouble. It is 20 if not set, and every client has 10 retries to begin with.
func RetryBudget(percent int) ClientOption {
	return clientOption(func(c *config) error {
		c.retryBudget = int64(percent)
		if percent < 0 || percent > 1000 {
			return usage("a retry budget of %d %%; 0 to 1,000 are allowed", percent)
		}
		return nil
	})
}

// Spread begins with a random one of the brokers, and of the addresses of a name, so that many clients share them. Without
// it, they are tried in the order of the list, which has the first choice first.
func Spread() ClientOption {
	return clientOption(func(c *config) error {
		c.spread = true
		return nil
	})
}

// Slots is how many requests a worker runs at once, 1 to 4,096, each in a goroutine of its own. It is 1 if not set.
// Every broker of a list may send so many; those over the number wait in the worker.
func Slots(slots int) WorkerOption {
	return workerOption(func(c *config) error {
		if slots < 1 || slots > wire.WindowMax {
			return usage("%d slots; 1 to 4,096 are allowed", slots)
		}
		c.slots = uint32(slots)
		return nil
	})
}

// DrainLimit is how long a worker that is drained waits for its handlers and conversations, 0 to a day. It is 30 s if
// not set.
func DrainLimit(limit time.Duration) WorkerOption {
	return workerOption(func(c *config) error {
		c.drain = limit
		return inRange("a drain limit", limit, 0, dayMost)
	})
}

// Streams says that the handler reads requests whose bodies come in parts (Task.Recv): without it the worker gets none. It may
// write its replies in parts either way; with it, clients that read parts get them as they are written.
func Streams() WorkerOption {
	return workerOption(func(c *config) error {
		c.streams = true
		return nil
	})
}

// Log takes what is to be said about the connections of a worker, a line at a time, without a newline. It must return
// soon, and call nothing of the worker.
func Log(line func(string)) WorkerOption {
	return workerOption(func(c *config) error {
		c.log = line
		return nil
	})
}

// OnConversationEnd is called when a conversation has ended or its broker was lost, with the value of
// Task.Conversation, so that its state can be freed. It must return soon, and call nothing of the worker.
func OnConversationEnd(ended func(conversation uint64)) WorkerOption {
	return workerOption(func(c *config) error {
		c.conversationEnd = ended
		return nil
	})
}

// CallOption is an option of one request.
type CallOption func(*call) error

// WithTimeout gives the request so long, 1 ms to a day, or until its context's deadline, whichever is sooner. The
// request ends a second (the grace) after that at the latest.
func WithTimeout(timeout time.Duration) CallOption {
	return func(c *call) error {
		c.exchange.Timeout, c.limited = timeout, true
		return inRange("a timeout", timeout, time.Millisecond, dayMost)
	}
}

// WithDeadline is WithTimeout for an instant.
func WithDeadline(deadline time.Time) CallOption {
	return func(c *call) error { return WithTimeout(time.Until(deadline))(c) }
}

// WithAttempts allows 1 to 10 attempts. With 1 the request is given to one worker at most, and never again. With more it
// is given to another when its worker is lost; and when the broker was lost, busy or draining, it is sent again, with
// one attempt fewer, within its deadline and the client's RetryBudget. What it does may then happen more than once. For
// Send the attempts are the job's, 5 if not set.
func WithAttempts(attempts int) CallOption {
	return func(c *call) error {
		c.exchange.Attempts = uint8(attempts)
		return checkAttempts(attempts)
	}
}

// WithPriority sets the priority, 0 to 9; 4 if not set. Where requests wait for workers of a service, those of a higher
// priority go first, and clients take turns within one; a client that waits for its turn rises. For Send it is that of the
// job's attempts.
func WithPriority(priority int) CallOption {
	return func(c *call) error {
		if priority < 0 || priority > wire.PriorityMax {
			return usage("a priority of %d; 0 to 9 are allowed", priority)
		}
		c.exchange.Priority = uint8(priority + 1)
		if priority == wire.PriorityDefault {
			c.exchange.Priority = 0
		}
		if c.exchange.Durable {
			c.put("job-priority", fmt.Sprint(priority))
		}
		return nil
	}
}

// WithHedge gives the request to a second worker, too, when the first takes longer than this, 1 ms to a day. The first
// answer is the reply; the other worker is cancelled. For requests that may run twice: it wants WithAttempts of 2 or more, and
// goes with no key, no conversation and no stream. The broker bounds how many of a service's requests are hedged.
func WithHedge(after time.Duration) CallOption {
	return func(c *call) error {
		if err := inRange("a hedge", after, time.Millisecond, dayMost); err != nil {
			return err
		}
		return c.hedge(fmt.Sprint(after.Milliseconds()))
	}
}

// WithHedgePercentile is WithHedge at the time that so many percent of the service's requests with hedges do not exceed,
// above 0 and below 100, to three decimals.
func WithHedgePercentile(percent float64) CallOption {
	return func(c *call) error {
		text := strconv.FormatFloat(math.Round(percent*1000)/1000, 'f', -1, 64)
		if !(percent > 0 && percent < 100) || text == "0" || text == "100" {
			return usage("a percentile of %v for a hedge; above 0 and below 100 are allowed", percent)
		}
		return c.hedge(text + "%")
	}
}

func (c *call) hedge(when string) error {
	if c.exchange.Conversation != nil {
		return usage("a hedge in a conversation; its state is with one worker")
	}
	c.exchange.Hedged = true
	c.put("hedge", when)
	return nil
}

// WithWorkerWait lets the request wait so long, up to a day, while no worker offers the service. Without it, it ends
// with NO_WORKER at once.
func WithWorkerWait(wait time.Duration) CallOption {
	return func(c *call) error {
		c.exchange.Wait = wait
		return inRange("a wait for workers", wait, 0, dayMost)
	}
}

// WithHeaders adds headers: at most 64, 8 KiB in all. Keys have 1 to 63 bytes of a-z 0-9 - _ . and values up to 4,096
// without control characters.
func WithHeaders(headers ...Header) CallOption {
	return func(c *call) error {
		for _, header := range headers {
			c.headers = append(c.headers, wire.Header(header))
		}
		return nil
	}
}

// WithTrace asks the worker to add its name to the reply: see Reply.Worker.
func WithTrace() CallOption {
	return func(c *call) error {
		c.exchange.Trace = true
		return nil
	}
}

// WithKey sets the idempotency key: 1 to 127 bytes without control characters. Jobs of one principal for one service
// with the same key and body are one job. Of all calls with the same key and body one runs, and all get its result, as
// long as the broker remembers it (Reply.Replayed); with another body a call ends with ErrKeyMismatch, and with
// ErrInvalid where the broker remembers none. The worker sees the key: Task.Key. Not in conversations.
func WithKey(key string) CallOption {
	return func(c *call) error {
		if key == "" || len(key) > wire.KeyMax {
			return usage("a key of %d bytes; 1 to 127 are allowed", len(key))
		}
		c.keyed = true
		c.put("idempotency-key", key)
		return nil
	}
}

// WithWindow sets how many bytes the worker of a stream may write before they are read, where a part counts 64 more than
// its own: 65 bytes to 1 GiB. If it is not set, it begins with 256 KiB, and grows up to 4 MiB while it is what the writer waits
// for. A broker with a smaller limit gets that.
func WithWindow(bytes int) CallOption {
	return func(c *call) error {
		c.window, c.streamed = bytes, true
		if bytes <= wire.PartCost || bytes > 1<<30 {
			return usage("a window of %d bytes; 65 to 1073741824 are allowed", bytes)
		}
		return nil
	}
}

// WithIdleTimeout ends a stream with ErrDeadline when a worker has had it for so long and nothing came or went.
func WithIdleTimeout(silence time.Duration) CallOption {
	return func(c *call) error {
		c.streamed = true
		c.put("stream-idle", fmt.Sprint(silence.Milliseconds()))
		return inRange("an idle timeout", silence, time.Millisecond, dayMost)
	}
}

// WithMore says that more of a stream's body follows: the body given to Stream is its first part, Stream.Write sends the rest,
// and Stream.CloseWrite its end. Only workers that read parts get it.
func WithMore() CallOption {
	return func(c *call) error {
		c.more, c.streamed = true, true
		return nil
	}
}

// WithFirst ends a request for all workers when so many, 1 to 65,535, have answered with StatusOK; or all there are, if they are
// fewer. The others are cancelled.
func WithFirst(count int) CallOption { return withGoal("all-first", count) }

// WithQuorum ends a request for all workers when so many, 1 to 65,535, have answered with StatusOK, or, with another status, as soon
// as they cannot any more; with ErrNoWorker if there are fewer workers, and none of them gets it.
func WithQuorum(count int) CallOption { return withGoal("all-quorum", count) }

func withGoal(header string, count int) CallOption {
	return func(c *call) error {
		if count < 1 || count > wire.AllMost {
			return usage("%d answers of all workers; 1 to 65,535 are allowed", count)
		}
		if c.toAll {
			return usage("one of WithFirst and WithQuorum is allowed, once")
		}
		c.toAll = true
		c.put(header, fmt.Sprint(count))
		return nil
	}
}

func (c *call) put(key, value string) {
	for i := range c.headers {
		if c.headers[i].Key == key {
			c.headers[i].Value = value
			return
		}
	}
	c.headers = append(c.headers, wire.Header{Key: key, Value: value})
}

const jobTimeMax = 366 * 24 * time.Hour

func ofJob(header, what string, value, least, most time.Duration) CallOption {
	return func(c *call) error {
		c.put(header, fmt.Sprint(int64(value/time.Millisecond)))
		return inRange(what, value, least, most)
	}
}

// WithDelay has a job begin not before this time has passed, up to 366 days. Like the following, it means nothing to
// Call.
func WithDelay(delay time.Duration) CallOption {
	return ofJob("job-delay", "a delay", delay, 0, jobTimeMax)
}

// WithNotBefore has a job begin not before this instant.
func WithNotBefore(instant time.Time) CallOption { return atInstant("job-not-before", instant) }

// WithJobDeadline ends a job with EXPIRED if no attempt has begun by this instant.
func WithJobDeadline(instant time.Time) CallOption { return atInstant("job-deadline", instant) }

func atInstant(header string, instant time.Time) CallOption {
	return func(c *call) error {
		if instant.UnixMicro() < 1 {
			return usage("%s: an instant before 1970", header)
		}
		c.put(header, fmt.Sprint(instant.UnixMicro()))
		return nil
	}
}

// WithBackoff is the pause after the first failed attempt of a job, which then doubles: up to 5 minutes; 1 s if not
// set.
func WithBackoff(pause time.Duration) CallOption {
	return ofJob("job-backoff", "a backoff", pause, 0, 5*time.Minute)
}

// WithAttemptTimeout is how long one attempt of a job may take: 1 ms to a day, which it is if not set.
func WithAttemptTimeout(timeout time.Duration) CallOption {
	return ofJob("job-attempt", "an attempt's timeout", timeout, time.Millisecond, dayMost)
}

// WithKeep is how long the final of a job is kept: up to 366 days; a day if not set.
func WithKeep(keep time.Duration) CallOption {
	return ofJob("job-keep", "a time to keep", keep, 0, jobTimeMax)
}

// security returns the keys for an endpoint, nil for none.
func (c *config) security(endpoint string) *zmtp.Keys {
	if c.keys.server == nil || !strings.HasPrefix(endpoint, "tcp://") {
		return nil
	}
	return &zmtp.Keys{Public: c.keys.public, Secret: c.keys.secret, Server: *c.keys.server}
}
