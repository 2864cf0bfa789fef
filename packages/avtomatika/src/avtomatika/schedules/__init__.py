"""When schedules are due: a pure calendar. Instants come in, instants go out."""
