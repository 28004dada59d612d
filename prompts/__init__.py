"""What is said to the models: role templates, task texts and recorded replies."""
