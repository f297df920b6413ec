# Small goroutine programs, and the driver that asserts what they print and how they end.
