package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/config"
)

// defaultFile is read when it is in the working directory and no other file
// is named.
const defaultFile = "jetway.yaml"

func newConfigCmd(m *Main) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in effect, and where each value is from",
		Long: `Print the configuration in effect as a file. A comment says where each value
is from. The password or token in nats.url is masked.`,
		Example: `  jetway config
  jetway config --config jetway.yaml
  JETWAY_LISTEN=:8080 jetway config --drain 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := m.loadConfig(cmd)
			if err != nil {
				return err
			}
			text, err := c.Effective()
			if err != nil {
				return err
			}
			_, err = m.Stdout.Write(text)
			return err
		},
	}
	configFlags(cmd)
	return cmd
}

// configFlags adds --config and a flag for every key to a command, for
// [Main.loadConfig].
func configFlags(cmd *cobra.Command) {
	cmd.Flags().String("config", "", `file to read (default "jetway.yaml" if it is in the working directory)`)
	config.RegisterFlags(cmd.Flags())
	cmd.Flags().SortFlags = false // the order of the file
}

// loadConfig reads the configuration of a command that has [configFlags].
func (m *Main) loadConfig(cmd *cobra.Command) (*config.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	if file == "" && !cmd.Flags().Changed("config") {
		// Anything but "not there" is for Load to say: a file that is there
		// and cannot be read must not pass for none.
		if _, err := os.Stat(defaultFile); !errors.Is(err, fs.ErrNotExist) {
			file = defaultFile
		}
	}
	return config.Load(config.Source{File: file, Env: m.Env, Flags: cmd.Flags()})
}
