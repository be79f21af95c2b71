// Compares two OCI layouts with the comparison that the command diffoci makes (its package pkg/diff), for beside.py.
//
// The command itself fetches images from engines and registries; all that it says of them comes from this package.
package main

import (
	"context"
	_ "crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/content/local"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/reproducible-containers/diffoci/pkg/diff"
)

func main() {
	semantic := flag.Bool("semantic", false, "what the flag --semantic of diffoci ignores")
	flag.Parse()
	different, err := compare(flag.Arg(0), flag.Arg(1), flag.Arg(2), *semantic)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case different:
		os.Exit(1)
	}
}

func compare(left, right, blobs string, semantic bool) (bool, error) {
	store, err := local.NewStore(blobs)
	if err != nil {
		return false, err
	}
	options := &diff.Options{EventHandler: diff.DefaultEventHandler}
	if semantic {
		options.IgnoranceOptions = diff.IgnoranceOptions{
			IgnoreHistory: true, IgnoreFileOrder: true, IgnoreFileModeRedundantBits: true,
			IgnoreFileTimestamps: true, IgnoreImageTimestamps: true, IgnoreImageName: true,
			IgnoreTarFormat: true, CanonicalPaths: true,
		}
	}
	first, err := root(left)
	if err != nil {
		return false, err
	}
	second, err := root(right)
	if err != nil {
		return false, err
	}
	found, err := diff.Diff(context.Background(), store, [2]ocispec.Descriptor{first, second}, platforms.Default(), options)
	return err == nil && len(found.Children) > 0, err
}

// root returns the one image or index of a layout, without the name that it has there.
func root(layout string) (ocispec.Descriptor, error) {
	content, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return ocispec.Descriptor{}, err
	}
	if len(index.Manifests) != 1 {
		return ocispec.Descriptor{}, fmt.Errorf("%s has %d images", layout, len(index.Manifests))
	}
	found := index.Manifests[0]
	found.Annotations = nil
	return found, nil
}
