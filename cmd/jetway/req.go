package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
)

// reqFlags are what req is told.
type reqFlags struct {
	url    string
	wait   time.Duration
	head   map[string]string
	raw    bool
	asJSON bool
}

func newReqCmd(m *Main) *cobra.Command {
	var f reqFlags
	cmd := &cobra.Command{
		Use:   "req SUBJECT [DATA|-]",
		Short: "Ask a microservice, and print its answer",
		Long: `Ask a microservice, and print its answer.

DATA that is JSON is sent as it is, other text as a JSON string; --raw sends
the bytes. "-" reads standard input to its end; without DATA nothing is sent.

An answer that is JSON is printed as a line, any other as the bytes it is. With
--json it is an object with "data", or "b64" for bytes, and the headers in
"head". When nobody answers, or the answer is an error, it ends with 1.`,
		Example: `  jetway req svc.time
  jetway req svc.resize '{"image":7,"width":200}' --wait 10s
  jetway req svc.thumbnail - --raw < picture.png > thumbnail.png
  jetway req svc.time --json | jq .data`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.url = cmd.Flag("url").Value.String()
			if f.wait < 0 {
				return usagef(cmd, "--wait %s is not over zero: write how long the answer may take, such as 5s", f.wait)
			}
			return m.req(cmd.Context(), f, args)
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().DurationVar(&f.wait, "wait", 5*time.Second, "how long the answer may take (0: what the gateway says)")
	headFlag(cmd, &f.head)
	cmd.Flags().BoolVar(&f.raw, "raw", false, "send the bytes as they are, not as JSON")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (m *Main) req(ctx context.Context, f reqFlags, args []string) error {
	data := []byte{}
	if len(args) == 2 {
		var err error
		if data, err = m.readArg(args[1]); err != nil {
			return err
		}
		if !f.raw {
			data = asPayload(data)
		}
	}
	c, err := m.dial(ctx, f.url)
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Request(ctx, args[0], data, client.RequestOptions{Wait: f.wait, Head: headers(f.head)})
	if err != nil {
		return err
	}
	switch {
	case f.asJSON:
		return json.NewEncoder(m.Stdout).Encode(struct {
			Data json.RawMessage   `json:"data,omitempty"`
			B64  []byte            `json:"b64,omitempty"`
			Head map[string]string `json:"head,omitempty"`
		}{r.Data, r.Binary, headMap(r.Head)})
	case r.Data != nil:
		_, err = fmt.Fprintf(m.Stdout, "%s\n", r.Data)
	default:
		_, err = m.Stdout.Write(r.Binary)
	}
	return err
}

// headMap is headers as they are printed in JSON; nil when there are none.
func headMap(head []bridge.Field) map[string]string {
	if len(head) == 0 {
		return nil
	}
	byName := make(map[string]string, len(head))
	for _, h := range head {
		byName[h.Name] = h.Value
	}
	return byName
}
