// Package gateway is the front door: it limits, authenticates and routes requests.
package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// TokenBucket lets bursts through and holds the long-term rate.
type TokenBucket struct {
	mu       sync.Mutex
	capacity float64
	tokens   float64
	perSec   float64
	last     time.Time
}

// NewTokenBucket returns a full bucket.
func NewTokenBucket(capacity, perSec float64, now time.Time) *TokenBucket {
	return &TokenBucket{capacity: capacity, tokens: capacity, perSec: perSec, last: now}
}

// Allow takes one token. If there is none it says how long to wait for the next.
func (b *TokenBucket) Allow(now time.Time) (bool, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.capacity, b.tokens+now.Sub(b.last).Seconds()*b.perSec)
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return true, 0
	}
	wait := time.Duration((1 - b.tokens) / b.perSec * float64(time.Second))
	return false, wait
}

// RateLimiter keeps one bucket per customer.
type RateLimiter struct {
	mu      sync.Mutex
	buckets map[string]*TokenBucket
}

// Middleware answers 429 with Retry-After once a customer's bucket is empty.
func (l *RateLimiter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed, wait := l.bucket(r.Header.Get("X-Customer")).Allow(time.Now())
		if !allowed {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (l *RateLimiter) bucket(customer string) *TokenBucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.buckets[customer]
	if !ok {
		bucket = NewTokenBucket(20, 5, time.Now())
		l.buckets[customer] = bucket
	}
	return bucket
}
