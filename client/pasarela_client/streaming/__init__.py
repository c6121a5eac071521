"""What a stream of frames decides, without tasks, threads or gRPC; `aio/stream.py` carries it out."""
