"""The check of the command line: builds of one application, each as on another machine."""
