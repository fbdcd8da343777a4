package report

import (
	"testing"

	"github.com/jetway-io/jetway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
