package pathpattern

// narrow makes ASCII of what careless decoders take for it: overlong UTF-8, such as C0 AF
// for a slash (RFC 3629, section 10), and the full-width forms U+FF01 to U+FF5E, which
// compatibility normalisation (NFKC) and best-fit code pages turn into ASCII.
func narrow(path string) string {
	var b []byte // what there is of the result; nil while it is path itself
	for i := 0; i < len(path); {
		c, size := narrowed(path[i:])
		if size == 0 {
			c, size = path[i], 1
		} else if b == nil {
			b = append(make([]byte, 0, len(path)), path[:i]...)
		}
		if b != nil {
			b = append(b, c)
		}
		i += size
	}
	if b == nil {
		return path
	}
	return string(b)
}

// narrowed reads one such character at the start of s; the size is 0 when there is none.
func narrowed(s string) (c byte, size int) {
	// The rest of a sequence, its payload in six bits each.
	var low [4]byte
	for size = 1; size < min(len(s), len(low)) && s[size]&0xc0 == 0x80; size++ {
		low[size] = s[size] & 0x3f
	}
	switch {
	case size >= 2 && s[0]&0xfe == 0xc0:
		return s[0]&1<<6 | low[1], 2
	case size >= 3 && s[0] == 0xe0 && low[1] < 2:
		return low[1]<<6 | low[2], 3
	case size >= 4 && s[0] == 0xf0 && low[1] == 0 && low[2] < 2:
		return low[2]<<6 | low[3], 4
	case size >= 3 && s[0] == 0xef && (low[1] == 0x3c && low[2] > 0 || low[1] == 0x3d && low[2] < 0x1f):
		return (low[1]-0x3c)<<6 + low[2] + 0x20, 3
	default:
		return 0, 0
	}
}
