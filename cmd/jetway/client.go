package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/gateway/native/client"
)

// defaultURL is where a gateway without configuration can be reached.
const defaultURL = "ws://127.0.0.1:8080/ws"

// urlFlag adds --url to a command that speaks to a gateway.
func (m *Main) urlFlag(cmd *cobra.Command) *string {
	def := defaultURL
	for _, v := range m.Env {
		if url, ok := strings.CutPrefix(v, "JETWAY_URL="); ok {
			def = cmp.Or(url, def)
		}
	}
	return cmd.Flags().String("url", def, "where the gateway is; JETWAY_URL sets the default")
}

// dial connects to a gateway.
func dial(ctx context.Context, url string) (*client.Client, error) {
	return client.Dial(ctx, url, client.Options{})
}
