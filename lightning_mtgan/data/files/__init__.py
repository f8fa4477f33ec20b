"""From the files that people have to images of one size in one mapped file, with everything wrong said by name."""
