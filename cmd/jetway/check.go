package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/config"
)

func newCheckCmd(m *Main) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a configuration file",
		Long: `Say what is wrong with a configuration file: all of it at once, one line each.
Ends with 0 when the file is good, which may include warnings, else with 1.
Variables and flags are left out of it; "jetway config" looks at all of them.
FILE is jetway.yaml when it is not given.`,
		Example: `  jetway check
  jetway check /etc/jetway/jetway.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := defaultFile
			if len(args) > 0 {
				file = args[0]
			}
			warnings, err := config.Check(file)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintln(m.Stdout, "warning:", w)
			}
			_, err = fmt.Fprintf(m.Stdout, "%s is good\n", file)
			return err
		},
	}
}
