// Command centrifuge is a server with the library of that name: clients
// subscribe to channels and publish to them, with history and recovery, in
// memory or in Redis.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "where clients connect")
	redis := flag.String("redis", "", "address of a Redis server; empty: in memory")
	history := flag.Int("history", 200_000, "events kept per channel")
	delay := flag.Duration("delay", 0, "how long writes wait for more to write")
	queue := flag.Int("queue", 0, "bytes that may wait for a client; 0 is the default, 1 MiB")
	idle := flag.Bool("idle", false, "for many clients that are mostly idle")
	flag.Parse()
	if err := serve(*listen, *redis, *history, *delay, *queue, *idle); err != nil {
		log.Fatal(err)
	}
}

func serve(listen, redis string, history int, delay time.Duration, queue int, idle bool) error {
	node, err := centrifuge.New(centrifuge.Config{
		LogLevel:           centrifuge.LogLevelWarn,
		LogHandler:         func(e centrifuge.LogEntry) { log.Println(e.Message, e.Fields) },
		ClientQueueMaxSize: queue,
	})
	if err != nil {
		return err
	}
	if redis != "" {
		if err := useRedis(node, redis); err != nil {
			return err
		}
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:        &centrifuge.Credentials{},
			MaxMessagesInFrame: -1, // all that waits goes out at once
			WriteDelay:         delay,
			WriteWithTimer:     delay > 0,
		}, nil
	})
	publish := centrifuge.PublishReply{Options: centrifuge.PublishOptions{HistorySize: history, HistoryTTL: time.Hour}}
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: true}}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, answer centrifuge.PublishCallback) { answer(publish, nil) })
	})
	if err := node.Run(); err != nil {
		return err
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		ReadBufferSize:             512,
		UseWriteBufferPool:         true,
		ProcessCommandsOffReadLoop: idle,
	}))
	return http.ListenAndServe(listen, nil)
}

func useRedis(node *centrifuge.Node, address string) error {
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: address})
	if err != nil {
		return err
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Shards: []*centrifuge.RedisShard{shard}})
	if err != nil {
		return err
	}
	node.SetBroker(broker)
	return nil
}
