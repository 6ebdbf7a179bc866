// SPDX-License-Identifier: MPL-2.0

package riposte

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"github.com/riposte-broker/riposte/go/internal/zmtp"
)

// keys are those of one client or worker.
type keys struct {
	own            bool
	public, secret [32]byte
	server         *[32]byte
	made           bool // public and secret were made for want of a key file
}

const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// parseKey reads 40 characters of Z85 (ZeroMQ RFC 32).
func parseKey(text string) (key [32]byte, err error) {
	if len(text) != 40 {
		return key, usage("a key of %d characters; it has 40, of Z85", len(text))
	}
	for group := 0; group < 8; group++ {
		value := uint64(0)
		for _, c := range []byte(text[group*5 : group*5+5]) {
			digit := strings.IndexByte(z85, c)
			if digit < 0 {
				return key, usage("a key with the character %q, which Z85 does not have", c)
			}
			value = value*85 + uint64(digit)
		}
		if value > 0xffffffff {
			return key, usage("a key that is no Z85")
		}
		binary.BigEndian.PutUint32(key[group*4:], uint32(value))
	}
	return key, nil
}

// readCertificate finds the keys of a certificate file in CZMQ's format (ZPL); "" for one that is missing.
func readCertificate(path string) (public, secret string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", usage("the key file: %v", err)
	}
	section := ""
	for _, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			section = trimmed
			continue
		}
		name, value, found := strings.Cut(trimmed, "=")
		if section != "curve" || !found {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		switch strings.TrimSpace(name) {
		case "public-key":
			public = value
		case "secret-key":
			secret = value
		}
	}
	if public == "" {
		return "", "", usage("%s is no certificate: it has no public-key under curve; make one: riposte keys new NAME", path)
	}
	return public, secret, nil
}

func (k *keys) readOwn(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return usage("the key file: %v", err)
	}
	public, secret, err := readCertificate(path)
	if err != nil {
		return err
	}
	if secret == "" {
		return usage("%s has no secret key; name the file that ends with .key_secret", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return usage("%s can be read by others; take that right away: chmod 600 %s", path, path)
	}
	return k.setOwn(public, secret)
}

func (k *keys) setOwn(public, secret string) (err error) {
	if k.public, err = parseKey(public); err != nil {
		return err
	}
	if k.secret, err = parseKey(secret); err != nil {
		return err
	}
	pair := zmtp.Keys{Public: k.public, Secret: k.secret}
	if err := pair.Check(); err != nil {
		return usage("%v", err)
	}
	k.own = true
	return nil
}

func (k *keys) readServer(keyOrPath string) error {
	key, err := parseKey(keyOrPath)
	if err != nil {
		public, _, fileErr := readCertificate(keyOrPath)
		if fileErr != nil {
			return usage("the broker's key %q is neither 40 characters of Z85 nor a certificate file: %v", keyOrPath, fileErr)
		}
		if key, err = parseKey(public); err != nil {
			return err
		}
	}
	k.server = &key
	return nil
}

func (k *keys) take(public, secret, server string) error {
	key, err := parseKey(server)
	if err != nil {
		return err
	}
	if err := k.setOwn(public, secret); err != nil {
		return err
	}
	k.server = &key
	return nil
}

// complete makes the pair that is missing, or refuses what does not go together.
func (k *keys) complete() (err error) {
	if k.own && k.server == nil {
		return usage("a key file, and no key of the broker: add ServerKey")
	}
	if k.server != nil && !k.own {
		k.made = true
		if k.public, k.secret, err = zmtp.NewPair(rand.Reader); err != nil {
			return fmt.Errorf("riposte: no key could be made: %w", err)
		}
	}
	return nil
}
