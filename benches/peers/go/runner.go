// jub0bs/cors and rs/cors as a runner; benches/src/runner.rs says how one is
// spoken to.
//
//	runner WORKLOADS
//
// WORKLOADS is a folder that `cargo bench-libcors` writes.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	jub0bs "github.com/jub0bs/cors"
	rs "github.com/rs/cors"
)

type workload struct {
	Origins     []string    `json:"origins"`
	Expressions []string    `json:"expressions"`
	Methods     []string    `json:"methods"`
	Headers     []string    `json:"headers"`
	Credentials bool        `json:"credentials"`
	MaxAge      int         `json:"max_age"`
	Method      string      `json:"method"`
	Lines       [][2]string `json:"lines"`
}

func (w *workload) anyHeader() bool {
	return w.Headers[0] == "*"
}

// A subject is a handler, and a request that it gets over and over.
type subject struct {
	handler  http.Handler
	request  *http.Request
	response response
}

// The response keeps headers, and counts nothing else: what a server does with
// them is not measured.
type response struct {
	header http.Header
	status int
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(status int) { r.status = status }

func (r *response) Write(b []byte) (int, error) { return len(b), nil }

func (s *subject) once() {
	clear(s.response.header)
	s.response.status = http.StatusOK
	s.handler.ServeHTTP(&s.response, s.request)
}

var application = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// Each makes a handler, or none if the library cannot express the workload.
var contenders = map[string]func(*workload) (http.Handler, error){
	"go-none":     func(*workload) (http.Handler, error) { return application, nil },
	"rs-cors":     makeRS,
	"jub0bs-cors": makeJub0bs,
}

func makeRS(w *workload) (http.Handler, error) {
	options := rs.Options{
		AllowedOrigins:   w.Origins,
		AllowedMethods:   w.Methods,
		AllowedHeaders:   w.Headers,
		AllowCredentials: w.Credentials,
		MaxAge:           w.MaxAge,
	}
	if w.anyHeader() {
		options.AllowedHeaders = []string{"*"}
	}
	if len(w.Expressions) > 0 {
		expression, err := regexp.Compile(
			"^(?:" + strings.Join(w.Expressions, "|") + ")$")
		if err != nil {
			return nil, err
		}
		options.AllowedOrigins = nil
		options.AllowOriginFunc = expression.MatchString
	}
	return rs.New(options).Handler(application), nil
}

func makeJub0bs(w *workload) (http.Handler, error) {
	if len(w.Expressions) > 0 {
		return nil, nil
	}
	config := jub0bs.Config{
		Origins:         w.Origins,
		Methods:         w.Methods,
		RequestHeaders:  w.Headers,
		Credentialed:    w.Credentials,
		MaxAgeInSeconds: w.MaxAge,
	}
	if w.anyHeader() {
		config.RequestHeaders = []string{"*"}
	}
	middleware, err := jub0bs.NewMiddleware(config)
	if err != nil {
		// It refuses what it takes for dangerous: a policy that it does not have.
		log.Printf("left out: jub0bs-cors: %v", err)
		return nil, nil
	}
	return middleware.Wrap(application), nil
}

func load(contender, id string) (*subject, error) {
	text, err := os.ReadFile(filepath.Join(os.Args[1], id+".json"))
	if err != nil {
		return nil, err
	}
	w := &workload{}
	if err := json.Unmarshal(text, w); err != nil {
		return nil, err
	}
	handler, err := contenders[contender](w)
	if handler == nil || err != nil {
		return nil, err
	}
	request, err := http.NewRequest(w.Method, "http://api.example/", nil)
	if err != nil {
		return nil, err
	}
	for _, line := range w.Lines {
		request.Header.Add(line[0], line[1])
	}
	return &subject{
		handler:  handler,
		request:  request,
		response: response{header: http.Header{}},
	}, nil
}

func batch(s *subject, times int) time.Duration {
	start := time.Now()
	for i := 0; i < times; i++ {
		s.once()
	}
	return time.Since(start)
}

func measure(s *subject, batches int, length time.Duration) string {
	// As many as fill a batch; finding that out warms up.
	times := 1
	took := batch(s, times)
	for took*2 < length {
		times *= 2
		took = batch(s, times)
	}
	times = max(1, int(int64(times)*int64(length)/int64(took)))
	samples := make([]string, batches)
	for i := range samples {
		each := float64(batch(s, times)) / float64(times)
		samples[i] = strconv.FormatFloat(each, 'f', 3, 64)
	}
	return strings.Join(samples, " ")
}

func answer(s *subject) string {
	if s == nil {
		return "none"
	}
	s.once()
	lines := []string{strconv.Itoa(s.response.status)}
	for name, values := range s.response.header {
		for _, value := range values {
			lines = append(lines, name+": "+value)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

var subjects = map[string]*subject{}

func do(words []string) (string, error) {
	if len(words) == 1 && words[0] == "contenders" {
		names := make([]string, 0, len(contenders))
		for name := range contenders {
			names = append(names, name)
		}
		return strings.Join(names, " "), nil
	}
	if len(words) < 3 {
		return "", fmt.Errorf("cannot do %q", words)
	}
	key := words[1] + " " + words[2]
	s, known := subjects[key]
	if !known {
		var err error
		if s, err = load(words[1], words[2]); err != nil {
			return "", err
		}
		subjects[key] = s
	}
	switch {
	case words[0] == "answer":
		return answer(s), nil
	case words[0] == "time" && len(words) == 5:
		batches, err := strconv.Atoi(words[3])
		if err != nil {
			return "", err
		}
		nanoseconds, err := strconv.Atoi(words[4])
		if err != nil {
			return "", err
		}
		return measure(s, batches, time.Duration(nanoseconds)), nil
	}
	return "", fmt.Errorf("cannot do %q", words)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		text, err := do(strings.Fields(lines.Text()))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(text)
	}
}
