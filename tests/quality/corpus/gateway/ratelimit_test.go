package gateway

import (
	"testing"
	"time"
)

func TestTokenBucketAllowsABurst(t *testing.T) {
	now := time.Unix(0, 0)
	bucket := NewTokenBucket(3, 1, now)
	for i := 0; i < 3; i++ {
		if allowed, _ := bucket.Allow(now); !allowed {
			t.Fatalf("request %d of the burst was refused", i)
		}
	}
	allowed, wait := bucket.Allow(now)
	if allowed || wait != time.Second {
		t.Fatalf("got %v and %v, want a refusal for one second", allowed, wait)
	}
}

func TestTokenBucketRefills(t *testing.T) {
	now := time.Unix(0, 0)
	bucket := NewTokenBucket(1, 2, now)
	bucket.Allow(now)
	if allowed, _ := bucket.Allow(now.Add(500 * time.Millisecond)); !allowed {
		t.Fatal("half a second at two tokens a second gives one token")
	}
}
