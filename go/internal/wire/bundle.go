// SPDX-License-Identifier: MPL-2.0

package wire

import "encoding/binary"

// BundleMax is the most bytes of a bundle.
const BundleMax = 65536

const (
	bundleHead = 4
	entryHead  = 4
)

// IsBundle says whether frame begins as a bundle does.
func IsBundle(frame []byte) bool {
	return len(frame) >= 2 && frame[0] == 'R' && frame[1] == 'B'
}

// Split returns the messages in a bundle, which share its memory. It is all of them or an error.
func Split(frame []byte) ([][]byte, error) {
	if len(frame) <= bundleHead || len(frame) > BundleMax || !IsBundle(frame) || frame[2] != 1 || frame[3] != 0 {
		return nil, malformed("a bundle that does not add up")
	}
	var messages [][]byte
	for rest := frame[bundleHead:]; len(rest) > 0; {
		if len(rest) < entryHead {
			return nil, malformed("a bundle that does not add up")
		}
		size := uint64(binary.BigEndian.Uint32(rest))
		rest = rest[entryHead:]
		if size == 0 || size > uint64(len(rest)) {
			return nil, malformed("a bundle that does not add up")
		}
		messages = append(messages, rest[:size:size])
		rest = rest[size:]
	}
	return messages, nil
}

// Pack calls write with the messages in their order, those of one frame together in bundles where there are several.
// Each message has one frame or more. It ends at the first error.
func Pack(messages [][][]byte, write func(frames ...[]byte) error) error {
	for len(messages) > 0 {
		count, size := 0, bundleHead
		for count < len(messages) && len(messages[count]) == 1 && size+entryHead+len(messages[count][0]) <= BundleMax {
			size += entryHead + len(messages[count][0])
			count++
		}
		if count < 2 {
			if err := write(messages[0]...); err != nil {
				return err
			}
			messages = messages[1:]
			continue
		}
		bundle := append(make([]byte, 0, size), 'R', 'B', 1, 0)
		for _, message := range messages[:count] {
			bundle = binary.BigEndian.AppendUint32(bundle, uint32(len(message[0])))
			bundle = append(bundle, message[0]...)
		}
		if err := write(bundle); err != nil {
			return err
		}
		messages = messages[count:]
	}
	return nil
}
