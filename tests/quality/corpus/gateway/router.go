package gateway

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"sort"
	"strings"
	"sync/atomic"
)

// Upstream is a group of servers behind one path prefix.
type Upstream struct {
	Prefix  string
	targets []*url.URL
	next    atomic.Uint64
}

// Pick takes the servers of a group in turn (round robin).
func (u *Upstream) Pick() *url.URL {
	return u.targets[u.next.Add(1)%uint64(len(u.targets))]
}

// Router sends a request to the upstream with the longest prefix of its path.
type Router struct {
	upstreams []*Upstream
}

// NewRouter sorts the upstreams so that the most specific prefix is tried first.
func NewRouter(upstreams []*Upstream) *Router {
	sort.Slice(upstreams, func(i, j int) bool {
		return len(upstreams[i].Prefix) > len(upstreams[j].Prefix)
	})
	return &Router{upstreams: upstreams}
}

// Match returns the upstream for a path, or nil.
func (r *Router) Match(path string) *Upstream {
	for _, upstream := range r.upstreams {
		if strings.HasPrefix(path, upstream.Prefix) {
			return upstream
		}
	}
	return nil
}

// ServeHTTP forwards the request without its prefix.
func (r *Router) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	upstream := r.Match(request.URL.Path)
	if upstream == nil {
		http.NotFound(w, request)
		return
	}
	request.URL.Path = "/" + strings.TrimLeft(strings.TrimPrefix(request.URL.Path, upstream.Prefix), "/")
	httputil.NewSingleHostReverseProxy(upstream.Pick()).ServeHTTP(w, request)
}
