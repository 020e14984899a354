"""The style sheet of the chat. States differ by a mark and words as well, for terminals without colour."""

from __future__ import annotations

SHEET = """
ChatScreen { layout: vertical; }
#title { height: 1; padding: 0 1; color: $text-muted; background: $panel; }
#middle { height: 1fr; }
#transcript { width: 1fr; padding: 0 1 1 1; scrollbar-size-vertical: 1; }
#earlier { height: 1; content-align: center middle; width: 100%; }
.turn { height: auto; margin: 1 0 0 0; }
.question { height: auto; padding: 0 1; border-left: thick $primary; }
.reply { height: auto; padding: 0 1; margin: 0 0 0 0; border-left: thick $surface-lighten-2; link-style: none;
         link-color: $text-accent; link-background-hover: $primary; }
.reply.-refused { border-left: double $warning; background: $warning 8%; }
.reply.-failed { border-left: double $error; color: $text-error; }
.reply.-stopped { border-left: dashed $foreground 40%; }
.reply.-unsupported { border-left: thick $warning; }
.reply.-quoted { border-left: thick $secondary; }
.reply.-writing { border-left: thick $accent; }
.notice { height: auto; margin: 1 0 0 0; padding: 0 2; color: $text-muted; }
#empty { height: auto; margin: 1 0 0 0; padding: 1 2; }
.notice.-strong { color: $foreground; }
.notice.-failed { color: $text-error; }

#sources { width: 38%; max-width: 70; border-left: vkey $surface-lighten-2; display: none; }
#sources.-open { display: block; }
#source-list { height: 1fr; background: $background; }
.heading { height: 1; padding: 0 1; text-style: bold; color: $text-accent; }
.-narrow #sources.-open { width: 100%; max-width: 100%; border-left: none; }
.-narrow #middle.-sources #transcript { display: none; }

#prompt { height: auto; padding: 0; }
#entry { height: auto; max-height: 8; min-height: 1; padding: 0 1; background: $surface;
         border-left: thick $accent; }
.-short #transcript { padding: 0 1; }
.-short #entry { max-height: 4; }
#completions { height: auto; max-height: 8; background: $panel; }
Stage { height: 1; padding: 0 1; display: none; }
Stage.-on { display: block; }
Stage Static { width: 1fr; height: 1; color: $text-muted; }
Stage ProgressBar { width: 30; }
Stage Bar { width: 1fr; }
.-narrow Stage ProgressBar { width: 18; }
#status { height: 1; padding: 0 1; background: $panel; }
.-short #title, .-short ChatFooter { display: none; }

ModalScreen { align: center middle; }
.dialog { width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; background: $surface;
          border: round $primary; }
.dialog Input { margin: 1 0 0 0; }
.dialog .clipped { max-height: 3; }
.dialog TextArea { height: 8; margin: 1 0; }
.-short .dialog { padding: 0 1; }
.-short .dialog TextArea { height: 5; margin: 0; }
.buttons { height: auto; align-horizontal: right; margin: 1 0 0 0; }
.buttons Button { margin: 0 0 0 2; }
.passage-box, .sessions-box, .page-box { width: 96%; max-width: 120; height: 1fr; margin: 1 0; padding: 0 1;
          background: $surface; border: round $primary; }
.-short .passage-box, .-short .sessions-box, .-short .page-box { margin: 0; width: 100%; }
#place { height: auto; padding: 0 0 1 0; }
#passage-scroll, #page-scroll { height: 1fr; scrollbar-size-vertical: 1; }
#passage { height: auto; border-left: thick $accent; padding: 0 1; }
#page { height: auto; }
.neighbour { height: auto; padding: 0 2; }
#session-list { height: 1fr; border: none; background: $surface; padding: 0; }
.sessions-box Input { margin: 0 0 1 0; }
.-short .sessions-box Input { margin: 0; }

CompareScreen .asked { height: auto; max-height: 4; padding: 0 1; margin: 0 0 1 0; }
#panes { layout: horizontal; height: 1fr; }
.-narrow #panes { layout: vertical; }
.pane { width: 1fr; height: 1fr; border: round $surface-lighten-2; padding: 0 1; }
.pane VerticalScroll { scrollbar-size-vertical: 1; }
.pane .heading { padding: 0; }
.pane:focus-within { border: round $primary; }
.pane Static.-refused { background: $warning 8%; }
"""
