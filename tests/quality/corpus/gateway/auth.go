package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Claims is what a signed token says about its bearer.
type Claims struct {
	Subject string   `json:"sub"`
	Scopes  []string `json:"scopes"`
	Expires int64    `json:"exp"`
}

var (
	// ErrMalformed means that it is no token at all.
	ErrMalformed = errors.New("malformed token")
	// ErrSignature means that somebody else made it.
	ErrSignature = errors.New("signature does not match")
	// ErrExpired means that it was good once.
	ErrExpired = errors.New("token has expired")
)

type claimsKey struct{}

// VerifyToken checks signature and expiry of a three-part token and returns its claims.
func VerifyToken(token string, secret []byte, now time.Time) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, ErrMalformed
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, ErrMalformed
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if !hmac.Equal(signature, mac.Sum(nil)) {
		return nil, ErrSignature
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, ErrMalformed
	}
	var claims Claims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, ErrMalformed
	}
	if now.Unix() >= claims.Expires {
		return nil, ErrExpired
	}
	return &claims, nil
}

// RequireScope lets only bearers of a scope through.
func RequireScope(scope string, secret []byte, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := VerifyToken(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), secret, time.Now())
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		for _, granted := range claims.Scopes {
			if granted == scope {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
				return
			}
		}
		http.Error(w, "scope "+scope+" is missing", http.StatusForbidden)
	})
}
