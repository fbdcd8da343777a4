package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
)

func jobOf(img image.Image, width int) []byte {
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"image":"data:image/png;base64,%s","width":%d}`, base64.StdEncoding.EncodeToString(file.Bytes()), width)
}

func TestResize(t *testing.T) {
	// Left half red, right half clear.
	img := image.NewNRGBA(image.Rect(0, 0, 101, 50))
	for y := range 50 {
		for x := range 50 {
			img.Set(x, y, color.NRGBA{255, 0, 0, 255})
		}
	}
	for _, tt := range []struct{ ask, width, height int }{{20, 20, 10}, {8, 8, 4}, {101, 101, 50}, {4096, 101, 50}} {
		src, kind, width, err := decodeJob(jobOf(img, tt.ask))
		if err != nil || kind != "png" {
			t.Fatal(kind, err)
		}
		r := newResizer(src, width)
		for step := range steps {
			r.rows(step, steps)
		}
		got, err := encodeResult(r.dst, kind, 1<<20)
		if err != nil || got.Width != tt.width || got.Height != tt.height || !strings.HasPrefix(got.Image, "data:image/png;base64,") {
			t.Errorf("width %d: %+v, %v", tt.ask, got, err)
		}
		red, clear := color.RGBA{255, 0, 0, 255}, color.RGBA{}
		if left, right := r.dst.RGBAAt(1, tt.height-1), r.dst.RGBAAt(tt.width-1, 0); left != red || right != clear {
			t.Errorf("width %d: left %v, right %v", tt.ask, left, right)
		}
	}
}

func TestBadJobs(t *testing.T) {
	good := string(jobOf(image.NewGray(image.Rect(0, 0, 10, 10)), 8))
	for name, data := range map[string]string{
		"no JSON":    "resize this",
		"no image":   `{"width":100}`,
		"no width":   strings.Replace(good, `"width":8`, `"wide":8`, 1),
		"too wide":   strings.Replace(good, `"width":8`, `"width":5000`, 1),
		"no picture": `{"image":"data:image/png;base64,AAAA","width":100}`,
		"no base64":  `{"image":"data:image/png;base64,?","width":100}`,
		"cut off":    `{"image":"` + good[10:len(good)/2] + `","width":100}`,
	} {
		if _, _, _, err := decodeJob([]byte(data)); !errors.Is(err, errBadJob) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := encodeResult(image.NewRGBA(image.Rect(0, 0, 100, 100)), "png", 1100); !errors.Is(err, errBadJob) {
		t.Errorf("a result that is too large: %v", err)
	}
}
