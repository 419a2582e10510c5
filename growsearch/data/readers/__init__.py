"""One reader per kind of file: from a folder or file on disk to images in file order."""
