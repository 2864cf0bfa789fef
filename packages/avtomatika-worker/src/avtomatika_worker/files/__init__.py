"""Files of tasks in an object storage: fetched before a handler runs, stored after it returned."""
