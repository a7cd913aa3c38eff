"""Floor 4: setting a site up.  Its rooms: ask (questions and answers), provider (what the outside offers, and trying
it), imports (from other programs), doctor (what is wrong), installing (the pieces of an installation)."""
