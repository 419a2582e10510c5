"""Views of the stream of events while a run goes on."""
