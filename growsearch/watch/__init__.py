"""The live page of ``growsearch watch``: all runs of a folder as they go. It reads run folders and changes nothing."""
