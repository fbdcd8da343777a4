package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"strings"
)

// errBadJob is wrapped by what is wrong with a job for good: trying it again
// is of no use.
var errBadJob = errors.New("bad job")

const (
	minWidth, maxWidth = 8, 4096
	maxPixels          = 50_000_000 // a small file can unfold to more than there is memory
)

// result is the data of the event "done".
type result struct {
	Image  string `json:"image"` // a data: URL
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Bytes  int    `json:"bytes"`
}

// decodeJob reads a job: {"image":"data:image/png;base64,…","width":320}.
func decodeJob(data []byte) (src image.Image, kind string, width int, err error) {
	var ask struct {
		Image string `json:"image"`
		Width int    `json:"width"`
	}
	if err := json.Unmarshal(data, &ask); err != nil {
		return nil, "", 0, fmt.Errorf("%w: it is not JSON with an image and a width", errBadJob)
	}
	if ask.Width < minWidth || ask.Width > maxWidth {
		return nil, "", 0, fmt.Errorf("%w: the width is not from %d to %d", errBadJob, minWidth, maxWidth)
	}
	head, text, ok := strings.Cut(ask.Image, ";base64,")
	if !ok || !strings.HasPrefix(head, "data:image/") {
		return nil, "", 0, fmt.Errorf("%w: the image is no data: URL of an image", errBadJob)
	}
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, "", 0, fmt.Errorf("%w: the image is not base64", errBadJob)
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, "", 0, fmt.Errorf("%w: this is no PNG or JPEG image", errBadJob)
	}
	if size.Width*size.Height > maxPixels {
		return nil, "", 0, fmt.Errorf("%w: %d × %d are too many pixels", errBadJob, size.Width, size.Height)
	}
	src, kind, err = image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, "", 0, fmt.Errorf("%w: the image is damaged: %w", errBadJob, err)
	}
	return src, kind, ask.Width, nil
}

// resizer makes an image smaller: each pixel is the average of those that it
// stands for. An image is never made larger.
type resizer struct {
	src *image.RGBA
	dst *image.RGBA
}

func newResizer(src image.Image, width int) *resizer {
	b := src.Bounds()
	width = min(width, b.Dx())
	height := max(1, (b.Dy()*width+b.Dx()/2)/b.Dx())
	rgba := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(rgba, rgba.Bounds(), src, b.Min, draw.Src)
	return &resizer{src: rgba, dst: image.NewRGBA(image.Rect(0, 0, width, height))}
}

// rows makes the rows of one of several steps.
func (r *resizer) rows(step, steps int) {
	from, dst := r.src.Bounds(), r.dst.Bounds()
	for y := dst.Dy() * step / steps; y < dst.Dy()*(step+1)/steps; y++ {
		top, bottom := span(y, dst.Dy(), from.Dy())
		for x := range dst.Dx() {
			left, right := span(x, dst.Dx(), from.Dx())
			r.dst.SetRGBA(x, y, r.average(image.Rect(left, top, right, bottom)))
		}
	}
}

// span returns which of from's pixels the pixel i of to stands for: at least one.
func span(i, to, from int) (first, end int) {
	first = i * from / to
	return first, max(first+1, (i+1)*from/to)
}

// average works on colours that are multiplied with their opacity, as
// image.RGBA has them: what is transparent does not bleed.
func (r *resizer) average(box image.Rectangle) color.RGBA {
	var sum [4]int
	for y := box.Min.Y; y < box.Max.Y; y++ {
		i := r.src.PixOffset(box.Min.X, y)
		for _, p := range r.src.Pix[i : i+4*box.Dx()] {
			sum[i%4] += int(p)
			i++
		}
	}
	n := box.Dx() * box.Dy()
	return color.RGBA{uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n), uint8(sum[3] / n)}
}

// encodeResult writes an image as what it was. It has to fit into a message of
// at most max bytes.
func encodeResult(img image.Image, kind string, max int) (*result, error) {
	var file bytes.Buffer
	var err error
	if kind == "jpeg" {
		err = jpeg.Encode(&file, img, &jpeg.Options{Quality: 85})
	} else {
		kind = "png"
		err = png.Encode(&file, img)
	}
	if err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodedLen(file.Len())+1024 > max {
		return nil, fmt.Errorf("%w: the result is larger than a message may be: choose a smaller width", errBadJob)
	}
	size := img.Bounds()
	return &result{
		Image: "data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(file.Bytes()),
		Width: size.Dx(), Height: size.Dy(), Bytes: file.Len(),
	}, nil
}

// oneLine is an error as the value of a header.
func oneLine(err error) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
}
